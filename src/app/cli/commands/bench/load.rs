//! When the calls of a bench begin: after one another, or at a fixed rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use super::args::{Pace, Plan};
use super::measured::Measured;
use super::target::Target;
use crate::service::runtime::Tasks;

/// How long the last calls may take after the end of the measurement.
const LAST_CALLS: Duration = Duration::from_secs(30);

/// Makes calls until the end of the measurement.
pub(super) struct Load {
    pace: Pace,
    schedule: Arc<Schedule>,
    target: Arc<Target>,
    measured: Arc<Measured>,
    tasks: Tasks,
}

/// When the measurement ends.
struct Schedule {
    from: Instant,
    until: Instant,
    count: Option<u64>,
    begun: AtomicU64,
}

impl Schedule {
    /// Whether a call that is due now is made. Those of the warm-up are not counted.
    fn allows(&self, due: Instant) -> bool {
        if due < self.from {
            return true;
        }
        let is_within = |begun| self.count.is_none_or(|count| begun < count);
        due < self.until && is_within(self.begun.fetch_add(1, Ordering::Relaxed))
    }
}

impl Load {
    pub(super) fn new(
        plan: &Plan,
        target: Arc<Target>,
        measured: Arc<Measured>,
        tasks: Tasks,
    ) -> Self {
        let from = measured.from();
        let schedule = Schedule {
            from,
            until: from + plan.duration,
            count: plan.count,
            begun: AtomicU64::new(0),
        };
        Self {
            pace: plan.pace,
            schedule: Arc::new(schedule),
            target,
            measured,
            tasks,
        }
    }

    /// Makes the calls, and waits for the last ones: at most [`LAST_CALLS`] after the end.
    pub(super) async fn run(&self) {
        match self.pace {
            Pace::Callers(callers) => self.start_callers(callers),
            Pace::Rate {
                per_second,
                in_flight,
            } => self.run_at_rate(per_second, in_flight).await,
        }
        let last = self.schedule.until + LAST_CALLS;
        // Calls that take longer are not counted.
        let _ = tokio::time::timeout_at(last, self.tasks.finished()).await;
    }

    fn start_callers(&self, callers: usize) {
        for number in 0..callers {
            let (target, measured) = (Arc::clone(&self.target), Arc::clone(&self.measured));
            let schedule = Arc::clone(&self.schedule);
            self.tasks.spawn("caller", async move {
                while let due = Instant::now()
                    && schedule.allows(due)
                {
                    let outcome = target.call(number).await;
                    measured.record(number, due, outcome);
                }
            });
        }
    }

    /// Begins calls when they are due, on a thread of its own: the timers of tokio have steps of a millisecond.
    async fn run_at_rate(&self, per_second: f64, in_flight: usize) {
        let (ended, end) = oneshot::channel();
        let pacer = Pacer {
            schedule: Arc::clone(&self.schedule),
            target: Arc::clone(&self.target),
            measured: Arc::clone(&self.measured),
            tasks: self.tasks.clone(),
            permits: Arc::new(Semaphore::new(in_flight)),
            period: Duration::from_secs_f64(1.0 / per_second),
        };
        let thread = std::thread::Builder::new().name("pacer".to_owned());
        let run = move || {
            // The bench may have been interrupted.
            let is_awaited = || !ended.is_closed();
            pacer.run(&is_awaited);
            let _ = ended.send(());
        };
        match thread.spawn(run) {
            Ok(_) => drop(end.await),
            Err(error) => tracing::error!(%error, "cannot start a thread"),
        }
    }
}

/// Begins calls at a fixed rate.
struct Pacer {
    schedule: Arc<Schedule>,
    target: Arc<Target>,
    measured: Arc<Measured>,
    tasks: Tasks,
    permits: Arc<Semaphore>,
    period: Duration,
}

impl Pacer {
    fn run(&self, is_awaited: &dyn Fn() -> bool) {
        let begin = self.measured.begun();
        for number in 0_u32.. {
            // From the beginning, so that what is rounded does not add up.
            let due = begin + self.period.mul_f64(f64::from(number));
            while let wait = due.saturating_duration_since(Instant::now())
                && !wait.is_zero()
            {
                std::thread::park_timeout(wait);
                if !is_awaited() {
                    return;
                }
            }
            if !self.schedule.allows(due) || !is_awaited() {
                return;
            }
            self.begin(number, due);
        }
    }

    /// Begins a call, unless too many are running.
    fn begin(&self, number: u32, due: Instant) {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            self.measured.miss(due);
            return;
        };
        let (target, measured) = (Arc::clone(&self.target), Arc::clone(&self.measured));
        let number = usize::try_from(number).unwrap_or_default();
        self.tasks.spawn("call", async move {
            let outcome = target.call(number).await;
            measured.record(number, due, outcome);
            drop(permit);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_calls_is_allowed_after_the_warm_up() {
        let from = Instant::now() + Duration::from_secs(1);
        let schedule = Schedule {
            from,
            until: from + Duration::from_secs(1),
            count: Some(2),
            begun: AtomicU64::new(0),
        };
        let before = from - Duration::from_millis(1);
        assert!((0..9).all(|_| schedule.allows(before)));
        let allowed = (0..9).filter(|_| schedule.allows(from)).count();
        assert_eq!(allowed, 2);
        let timed = Schedule {
            count: None,
            ..schedule
        };
        assert!(timed.allows(from) && !timed.allows(timed.until));
    }
}
