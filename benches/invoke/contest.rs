//! Rounds of several contenders in turn (A B C A B C), so that a change of the machine's speed hits all of them.

use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use crate::load::Round;
use crate::record::{Figure, Goal, Sheet};
use crate::settings::settings;

/// What takes part: a name, and how to make a round of so many calls.
pub(crate) struct Contender<'a> {
    pub(crate) name: &'static str,
    run: Box<dyn Fn(usize) -> LocalBoxFuture<'a, Round> + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new<F: Future<Output = Round> + 'a>(
        name: &'static str,
        run: impl Fn(usize) -> F + 'a,
    ) -> Self {
        let run = Box::new(move |calls| run(calls).boxed_local());
        Self { name, run }
    }
}

/// What a contender did in each round.
pub(crate) struct Rounds {
    pub(crate) name: &'static str,
    pub(crate) rounds: Vec<Round>,
}

impl Rounds {
    pub(crate) fn values(&self, of: impl Fn(&Round) -> f64) -> Vec<f64> {
        self.rounds.iter().map(of).collect()
    }
}

/// Makes the rounds, each of `calls`, after a shorter one that warms up.
pub(crate) async fn compete(contenders: &[Contender<'_>], calls: usize) -> Vec<Rounds> {
    for contender in contenders {
        (contender.run)((calls / 4).max(1)).await;
    }
    let names = contenders.iter().map(|contender| contender.name);
    let mut all: Vec<_> = names
        .map(|name| Rounds {
            name,
            rounds: Vec::new(),
        })
        .collect();
    for _ in 0..settings().rounds() {
        for (contender, Rounds { rounds, .. }) in contenders.iter().zip(&mut all) {
            rounds.push((contender.run)(calls).await);
        }
    }
    all
}

/// What is compared, and the units of its figures.
pub(crate) struct Comparison {
    pub(crate) row: &'static str,
    pub(crate) title: &'static str,
    pub(crate) callers: usize,
    /// The unit of the rate.
    pub(crate) done: &'static str,
    /// The process whose CPU is measured.
    pub(crate) whose: &'static str,
}

/// Goals for the ratios of a comparison.
#[derive(Clone, Copy, Default)]
pub(crate) struct Goals {
    pub(crate) rate: Option<Goal>,
    pub(crate) cpu: Option<Goal>,
    pub(crate) p99: Option<Goal>,
}

impl Goals {
    pub(crate) fn rate_at_least(ratio: f64) -> Self {
        Self {
            rate: Some(Goal::AtLeast(ratio)),
            ..Self::default()
        }
    }
}

impl Comparison {
    /// Prints and records the figures of `ours` beside those of a baseline.
    pub(crate) fn show(&self, ours: &Rounds, baseline: &Rounds, goals: Goals) {
        #[expect(clippy::cast_precision_loss, reason = "callers are few")]
        let at = self.callers as f64;
        let sheet = Sheet {
            row: self.row,
            title: self.title.to_owned(),
            x: "callers",
            at,
            who: ours.name,
            against: Some(baseline.name),
        };
        sheet.head();
        let figure = |name: &str, goal, of: fn(&Round) -> f64| {
            sheet.figure(&Figure {
                figure: name,
                values: ours.values(of),
                baseline: Some(baseline.values(of)),
                goal,
            });
        };
        let rate = format!("{} per second", self.done);
        figure(&rate, goals.rate, |round| round.per_second);
        let cpu = format!("{} CPU, us per call", self.whose);
        figure(&cpu, goals.cpu, |round| micros(round.cpu));
        figure("p50, us", None, |round| micros(round.p50));
        figure("p99, us", goals.p99, |round| micros(round.p99));
    }
}

pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
