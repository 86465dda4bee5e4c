//! `Invoke` of an in-process service, a dict in and a dict out, beside hand-written tonic echoes of the same
//! `prost_types::Struct`: one that only answers, and one that also makes a UUID and answers it in header and message.

use crate::baseline;
use crate::contest::{Comparison, Contender, Goals, Rounds, compete};
use crate::load::{self, Load};
use crate::record::{Figure, Goal, Sheet, median_of};
use crate::server::Server;
use crate::settings::settings;

const CALLS: usize = 30_000;
/// More callers than these share a machine no better than a few: rates at 64 and 256 are compared as well.
const CALLERS: [usize; 3] = [1, 64, 256];

/// Compares at 1, 64 and 256 callers.
pub(crate) fn compare() {
    let [_, few, many] = CALLERS.map(at);
    let rates = |rounds: &Rounds| rounds.values(|round| round.per_second);
    let gains = |which: usize| -> Vec<f64> {
        let few = rates(&few[which]);
        let many = rates(&many[which]);
        // Rounds of different contests: each is compared with the median.
        let median = median_of(few.into_iter());
        many.into_iter().map(|rate| rate / median).collect()
    };
    let sheet = Sheet {
        row: "invoke-callers",
        title: "Invoke by 256 callers, rate beside that of 64".to_owned(),
        x: "callers",
        at: 256.0,
        who: "cidery",
        against: None,
    };
    sheet.head();
    for (name, which, goal) in [
        ("cidery", 0, Some(Goal::AtLeast(0.95))),
        ("tonic echo", 1, None),
    ] {
        let sheet = Sheet {
            who: name,
            ..sheet.clone()
        };
        sheet.figure(&Figure {
            figure: &format!("{name}, 256 / 64 callers"),
            values: gains(which),
            baseline: None,
            goal,
        });
    }
}

fn at(callers: usize) -> Vec<Rounds> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ours = Server::start("cidery");
    let (echo, echo_with_id) = (Server::start("tonic"), Server::start("tonic-id"));
    let calls = settings().part_of(if callers == 1 { CALLS / 3 } else { CALLS });
    let all = runtime.block_on(async {
        let our_load = Load::new(&ours.address, load::INVOKE, callers).await;
        let echo_load = Load::new(&echo.address, baseline::PATH, callers).await;
        let id_load = Load::new(&echo_with_id.address, baseline::PATH, callers).await;
        let contenders = [
            Contender::new("cidery", |calls| our_load.run(&ours, calls)),
            Contender::new("tonic echo", |calls| echo_load.run(&echo, calls)),
            Contender::new("tonic echo + id", |calls| id_load.run(&echo_with_id, calls)),
        ];
        compete(&contenders, calls).await
    });
    let comparison = Comparison {
        row: "invoke",
        title: "Invoke in process, dict of 6 fields in and out",
        callers,
        done: "calls",
        whose: "server",
    };
    let goals = |rate, cpu| Goals {
        rate: Some(Goal::AtLeast(rate)),
        cpu: Some(Goal::AtMost(cpu)),
        p99: Some(Goal::AtMost(1.2)),
    };
    comparison.show(&all[0], &all[1], goals(0.97, 1.05));
    comparison.show(&all[0], &all[2], goals(1.0, 1.0));
    all
}
