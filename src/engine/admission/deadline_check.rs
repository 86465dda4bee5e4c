//! Whether a call can still be answered before its deadline: one that cannot is refused before it is started.
//!
//! Only calls that are almost certainly hopeless are refused: a wrong refusal loses a call that would have succeeded, a
//! wrong admission only some time of a permit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::admission::handler_time::HandlerTime;
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;

/// How often, at most, a call is admitted that looks hopeless.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// Probes take at most one part in this many of the time of the permits.
const PROBE_SHARE: u32 = 10;

/// Checks the calls of one service.
#[derive(Debug)]
pub(super) struct DeadlineCheck {
    handler_time: Arc<HandlerTime>,
    /// When a call was last admitted that looked hopeless, or the first of them was refused.
    last_probe: Mutex<Option<Instant>>,
}

/// A call that may have to wait.
#[derive(Clone, Copy)]
pub(super) struct WaitingCall<'a> {
    pub(super) service: &'a ServiceName,
    pub(super) deadline: Option<Instant>,
}

/// What a call that joins the queue has before it.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    /// How many calls have their turns before it.
    pub(super) calls: usize,
    /// How many handlers can run at once.
    pub(super) concurrency: usize,
    /// The share of the permits that calls get.
    pub(super) share: f64,
}

/// Why a call was admitted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Reachable,
    /// It looks hopeless. Some such calls run, or a service that has become faster would never be found out.
    Probe,
}

impl DeadlineCheck {
    pub(super) fn new(handler_time: Arc<HandlerTime>) -> Self {
        Self {
            handler_time,
            last_probe: Mutex::new(None),
        }
    }

    /// Checks a call that joins the queue.
    ///
    /// # Errors
    ///
    /// `RESOURCE_EXHAUSTED` / `OVERLOADED`.
    pub(super) fn on_entry(&self, call: WaitingCall<'_>, ahead: Ahead) -> Result<Admission> {
        let wait = self.shortest_wait(ahead);
        match self.check(call, wait) {
            Ok(()) => Ok(Admission::Reachable),
            Err(_) if self.check(call, Duration::ZERO).is_err() && self.is_probe(ahead) => {
                Ok(Admission::Probe)
            }
            Err(error) => Err(error),
        }
    }

    /// Checks a call that leaves the queue with its permits.
    ///
    /// # Errors
    ///
    /// As for [`on_entry`](Self::on_entry).
    pub(super) fn on_exit(&self, call: WaitingCall<'_>, admission: Admission) -> Result<()> {
        match admission {
            Admission::Probe => Ok(()),
            Admission::Reachable => self.check(call, Duration::ZERO),
        }
    }

    /// How long a call waits at least: all permits that the service can have are passed on to the calls before it.
    /// Other services may hold some of them.
    fn shortest_wait(&self, ahead: Ahead) -> Duration {
        let rounds = ahead.calls as f64 / ahead.concurrency.max(1) as f64 / ahead.share;
        self.handler_time.mean_held().mul_f64(rounds)
    }

    /// Whether a call that looks hopeless is admitted as a probe.
    fn is_probe(&self, ahead: Ahead) -> bool {
        let handler_time = self.handler_time.shortest().unwrap_or_default();
        let concurrency = u32::try_from(ahead.concurrency.max(1)).unwrap_or(u32::MAX);
        let interval = (handler_time.saturating_mul(PROBE_SHARE) / concurrency).max(PROBE_INTERVAL);
        let now = Instant::now();
        // One assignment: the state is consistent even after a panic.
        let mut last = self
            .last_probe
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let since = *last.get_or_insert(now);
        let is_due = now.saturating_duration_since(since) >= interval;
        if is_due {
            *last = Some(now);
        }
        is_due
    }

    /// Checks that a handler which starts after a wait may end before the deadline of its call.
    fn check(&self, call: WaitingCall<'_>, wait: Duration) -> Result<()> {
        let (Some(deadline), Some(handler_time)) = (call.deadline, self.handler_time.shortest())
        else {
            return Ok(());
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if wait.saturating_add(handler_time) <= left {
            return Ok(());
        }
        let service = call.service;
        let waits = match wait.as_millis() {
            0 => String::new(),
            wait => format!("the calls before this one take about {wait} ms, "),
        };
        let message = format!(
            "`{service}` is overloaded: {waits}its handlers take {} ms or more, and the deadline of this call is in {} \
             ms",
            handler_time.as_millis(),
            left.as_millis()
        );
        Err(Error::resource_exhausted(reason::OVERLOADED, message)
            .with_info("service", service)
            .with_info("wait_ms", wait.as_millis())
            .with_info("handler_ms", handler_time.as_millis())
            .with_info("left_ms", left.as_millis())
            .with_retry_after(wait.max(handler_time)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn check(elapsed: Duration) -> (DeadlineCheck, Arc<HandlerTime>) {
        let handler_time = Arc::new(HandlerTime::default());
        handler_time.record(elapsed, elapsed, false);
        (DeadlineCheck::new(Arc::clone(&handler_time)), handler_time)
    }

    const fn behind(calls: usize) -> Ahead {
        Ahead {
            calls,
            concurrency: 10,
            share: 1.0,
        }
    }

    fn enter(check: &DeadlineCheck, left: Duration, ahead: Ahead) -> Result<Admission> {
        let service = ServiceName::parse("a").unwrap();
        let call = WaitingCall {
            service: &service,
            deadline: Some(Instant::now() + left),
        };
        check.on_entry(call, ahead)
    }

    #[tokio::test(start_paused = true)]
    async fn the_message_names_the_wait_where_there_is_one() {
        let (check, _) = check(ms(500));
        assert!(enter(&check, ms(500), behind(0)).is_ok());
        assert!(enter(&check, ms(1_000), behind(10)).is_ok());
        let waits = enter(&check, ms(999), behind(10)).err().unwrap();
        assert!(
            waits
                .message()
                .contains("calls before this one take about 500 ms")
        );
        let background = Ahead {
            share: 0.5,
            ..behind(10)
        };
        assert!(enter(&check, ms(1_499), background).is_err());
        assert!(enter(&check, ms(1_500), background).is_ok());
        let hopeless = enter(&check, ms(499), behind(0)).err().unwrap();
        assert!(
            !hopeless.message().contains("before this one"),
            "{hopeless}"
        );
        assert_eq!(hopeless.retry_after(), Some(ms(500)));
    }

    /// Where nothing is admitted, nothing is measured.
    #[tokio::test(start_paused = true)]
    async fn some_calls_that_look_hopeless_are_admitted() {
        let (check, handler_time) = check(ms(3_000));
        let hopeless = || enter(&check, ms(2_000), behind(0));
        let mut probes = 0;
        for _ in 0..100 {
            probes += usize::from(hopeless().is_ok_and(|admitted| admitted == Admission::Probe));
            tokio::time::advance(ms(100)).await;
        }
        // 30 s of permits in ten seconds, of a hundred.
        assert_eq!(probes, 3);
        // A call that only has too many before it is no probe.
        tokio::time::advance(ms(3_000)).await;
        assert!(enter(&check, ms(4_000), behind(10)).is_err());
        handler_time.record(ms(50), ms(50), false);
        assert!(hopeless().is_ok_and(|admitted| admitted == Admission::Reachable));
    }
}
