//! Timers by the wall clock. Sleeps are measured by the monotonic clock, so they are restarted when the wall clock is
//! stepped: by NTP, by an operator, or while the machine was suspended.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::engine::clock::Clock;
use crate::engine::lifecycle::Lifecycle;

/// How often the clocks are compared.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// How far the clocks drift apart before that counts as a step.
const TOLERANCE: SignedDuration = SignedDuration::from_millis(100);

/// A clock with timers. Clones share the task that compares the clocks.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Timer {
    clock: Clock,
    /// Changes with each step of the wall clock.
    steps: watch::Receiver<()>,
}

impl Timer {
    /// Starts the task that compares the clocks, unless this clock cannot be stepped.
    pub(in crate::engine) fn start(clock: Clock, lifecycle: &Lifecycle) -> Self {
        let (steps, receiver) = watch::channel(());
        if clock.can_step() {
            let notice = notice_steps(clock.clone(), steps);
            lifecycle.spawn_until_drain("clock steps", notice);
        }
        Self {
            clock,
            steps: receiver,
        }
    }

    /// The current time.
    pub(in crate::engine) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Waits between two polls.
    pub(in crate::engine) async fn pause(&self, pause: Duration) {
        self.clock.pause(pause).await;
    }

    /// Sleeps until an instant of the wall clock. A step of the clock is noticed within a second.
    pub(in crate::engine) async fn sleep_until(&self, time: Timestamp) {
        let mut steps = self.steps.clone();
        loop {
            // Before the clock is read: a step after that is noticed.
            steps.borrow_and_update();
            tokio::select! {
                () = self.clock.sleep_until(time) => return,
                stepped = steps.changed() => if stepped.is_err() {
                    // The clock cannot be stepped, or the node drains.
                    return self.clock.sleep_until(time).await;
                }
            }
        }
    }
}

/// Compares the clocks until it is dropped.
async fn notice_steps(clock: Clock, steps: watch::Sender<()>) {
    let start = Instant::now();
    // How far the wall clock is ahead of the monotonic one.
    let lead = || {
        let elapsed = SignedDuration::try_from(start.elapsed()).unwrap_or(SignedDuration::MAX);
        let wall = clock.now().duration_since(Timestamp::UNIX_EPOCH);
        wall.saturating_sub(elapsed)
    };
    let mut known = lead();
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        let found = lead();
        let step = found.saturating_sub(known);
        if step.abs() > TOLERANCE {
            tracing::warn!(
                step_seconds = step.as_secs_f64(),
                "the clock of the machine was stepped"
            );
            known = found;
            steps.send_replace(());
        }
    }
}
