//! The gate of one service: what of it may start. A call passes it with one atomic load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;

use super::refusal::{node_held, service_inactive, service_paused};
use crate::model::error::{Error, Result};
use crate::model::id::ServiceName;
use crate::model::service_control::ServiceControl;

/// Synchronous calls that are not stored do not start.
const CALLS_CLOSED: u64 = 1;
/// Attempts of stored invocations do not start.
const BACKGROUND_CLOSED: u64 = 1 << 1;
/// Nothing is accepted.
const ACCEPTANCE_CLOSED: u64 = 1 << 2;
/// The node is held.
const NODE_HELD: u64 = 1 << 3;
const FLAGS: u64 = CALLS_CLOSED | BACKGROUND_CLOSED | ACCEPTANCE_CLOSED | NODE_HELD;
/// The number of attempts that are about to start is kept above the flags,
const STARTING: u64 = 1 << 4;
/// and above it that of invocations which are being accepted.
const ACCEPTING: u64 = 1 << 34;
const ALL_STARTING: u64 = (ACCEPTING - 1) & !FLAGS;

/// What of one service may start.
#[derive(Debug)]
pub(in crate::engine) struct Gate {
    /// Flags, and the numbers of attempts that are about to start and of invocations that are being accepted: all in
    /// one word, so that each of them either sees a pause, or is seen by it.
    state: AtomicU64,
    control: ArcSwapOption<ServiceControl>,
    /// Notified when the flags have changed, and when something that a closed gate waits for has gone through.
    changed: Notify,
}

/// An attempt that is about to start, until it is dropped.
#[derive(Debug)]
pub(in crate::engine) struct Starting<'a>(&'a Gate);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        let before = self.0.state.fetch_sub(STARTING, Ordering::AcqRel);
        if before & BACKGROUND_CLOSED != 0 {
            self.0.changed.notify_waiters();
        }
    }
}

/// An invocation that is being accepted, until it is dropped.
#[derive(Debug)]
pub(in crate::engine) struct Accepting(Arc<Gate>);

impl Drop for Accepting {
    fn drop(&mut self) {
        let before = self.0.state.fetch_sub(ACCEPTING, Ordering::AcqRel);
        if before & ACCEPTANCE_CLOSED != 0 {
            self.0.changed.notify_waiters();
        }
    }
}

impl Gate {
    pub(super) fn new(control: Option<ServiceControl>, node_held: bool) -> Arc<Self> {
        let gate = Self {
            state: AtomicU64::new(0),
            control: ArcSwapOption::new(control.map(Arc::new)),
            changed: Notify::new(),
        };
        gate.update(node_held);
        Arc::new(gate)
    }

    /// That the service is paused or disabled, if it is.
    pub(in crate::engine) fn control(&self) -> Option<Arc<ServiceControl>> {
        self.control.load_full()
    }

    pub(super) fn set(&self, control: Option<ServiceControl>, node_held: bool) {
        self.control.store(control.map(Arc::new));
        self.update(node_held);
    }

    /// Updates the flags. One at a time.
    pub(super) fn update(&self, node_held: bool) {
        let flags = flags(self.control.load().as_deref(), node_held);
        let set = |state: u64| Some((state & !FLAGS) | flags);
        let _ = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, set);
        self.changed.notify_waiters();
    }

    #[inline]
    fn is_closed(&self, flag: u64) -> bool {
        self.state.load(Ordering::Acquire) & flag != 0
    }

    /// Whether attempts of stored invocations do not start.
    pub(in crate::engine) fn is_background_closed(&self) -> bool {
        self.is_closed(BACKGROUND_CLOSED)
    }

    /// Whether synchronous calls start.
    pub(in crate::engine) fn takes_calls(&self) -> bool {
        !self.is_closed(CALLS_CLOSED)
    }

    /// Whether a synchronous call that is not stored may start.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `SERVICE_PAUSED` or `NODE_HELD`; `FAILED_PRECONDITION` / `SERVICE_INACTIVE`.
    #[inline]
    pub(in crate::engine) fn check_call(&self, service: &ServiceName) -> Result<()> {
        self.check(CALLS_CLOSED, service)
    }

    /// Whether a synchronous call that is stored first may be accepted. It runs as background work does: its caller
    /// would wait in vain.
    ///
    /// # Errors
    ///
    /// As for [`check_call`](Self::check_call).
    pub(in crate::engine) fn check_stored_call(&self, service: &ServiceName) -> Result<()> {
        self.check(BACKGROUND_CLOSED, service)
    }

    /// Whether an asynchronous invocation may be accepted.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `SERVICE_INACTIVE`.
    pub(in crate::engine) fn check_acceptance(&self, service: &ServiceName) -> Result<()> {
        self.check(ACCEPTANCE_CLOSED, service)
    }

    #[inline]
    fn check(&self, flag: u64, service: &ServiceName) -> Result<()> {
        match self.is_closed(flag) {
            false => Ok(()),
            true => self.refusal(service).map_or(Ok(()), Err),
        }
    }

    /// Why something of the service does not start; `None` where it has been opened meanwhile.
    #[cold]
    fn refusal(&self, service: &ServiceName) -> Option<Error> {
        let control = self.control.load();
        match control.as_deref() {
            Some(ServiceControl {
                disabled: Some(disabled),
                ..
            }) => Some(service_inactive(service, disabled)),
            _ if self.is_closed(NODE_HELD) => Some(node_held(service)),
            Some(control) => {
                let paused = control.paused.as_ref();
                paused.map(|paused| service_paused(service, paused))
            }
            None => None,
        }
    }

    /// Resolves once synchronous calls do not start, with the reason.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub(in crate::engine) async fn calls_refused(&self, service: &ServiceName) -> Error {
        loop {
            let changed = self.changed.notified();
            if let Err(error) = self.check_call(service) {
                return error;
            }
            changed.await;
        }
    }

    /// Lets an attempt of a stored invocation start. `None` where none starts: the invocation waits.
    #[inline]
    pub(in crate::engine) fn begin_attempt(&self) -> Option<Starting<'_>> {
        let before = self.state.fetch_add(STARTING, Ordering::AcqRel);
        let starting = Starting(self);
        (before & BACKGROUND_CLOSED == 0).then_some(starting)
    }

    /// Announces that an invocation is about to be accepted, and asks afterwards whether it may be: an operator who
    /// closes the gate meanwhile waits until the guard is dropped: once the invocation is stored, or refused.
    #[inline]
    pub(in crate::engine) fn begin_acceptance(self: &Arc<Self>) -> Accepting {
        self.state.fetch_add(ACCEPTING, Ordering::AcqRel);
        Accepting(Arc::clone(self))
    }

    /// Waits until all attempts that were about to start as the service was closed have started, and all invocations
    /// that were being accepted as it was disabled are stored; or until the service is open again. From then on none
    /// starts, or is accepted.
    pub(in crate::engine) async fn settled(&self) {
        loop {
            let changed = self.changed.notified();
            if is_settled(self.state.load(Ordering::Acquire)) {
                return;
            }
            changed.await;
        }
    }
}

fn is_settled(state: u64) -> bool {
    let starts = state & BACKGROUND_CLOSED != 0 && state & ALL_STARTING != 0;
    let accepts = state & ACCEPTANCE_CLOSED != 0 && state >= ACCEPTING;
    !starts && !accepts
}

/// What is closed.
fn flags(control: Option<&ServiceControl>, node_held: bool) -> u64 {
    let of_control = match control {
        Some(control) if control.disabled.is_some() => {
            CALLS_CLOSED | BACKGROUND_CLOSED | ACCEPTANCE_CLOSED
        }
        Some(control) if control.is_background_only() => BACKGROUND_CLOSED,
        Some(control) if control.paused.is_some() => CALLS_CLOSED | BACKGROUND_CLOSED,
        _ => 0,
    };
    match node_held {
        true => of_control | CALLS_CLOSED | BACKGROUND_CLOSED | NODE_HELD,
        false => of_control,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use jiff::Timestamp;

    use super::*;
    use crate::model::error::reason;
    use crate::model::service_control::{ControlCause, Disabled, Paused};

    fn service() -> ServiceName {
        ServiceName::parse("a").unwrap()
    }

    fn paused(background_only: bool) -> Option<ServiceControl> {
        Some(ServiceControl {
            paused: Some(Paused {
                background_only,
                cause: ControlCause::default(),
                time: Timestamp::UNIX_EPOCH,
            }),
            ..ServiceControl::none(service())
        })
    }

    fn disabled() -> Option<ServiceControl> {
        Some(ServiceControl {
            disabled: Some(Disabled {
                cause: ControlCause::default(),
                time: Timestamp::UNIX_EPOCH,
            }),
            ..ServiceControl::none(service())
        })
    }

    /// The reason for which a call, a stored call and an asynchronous invocation are refused.
    fn refusals(gate: &Gate) -> [String; 3] {
        let checks: [fn(&Gate, &ServiceName) -> Result<()>; 3] = [
            Gate::check_call,
            Gate::check_stored_call,
            Gate::check_acceptance,
        ];
        checks.map(|check| match check(gate, &service()) {
            Ok(()) => String::new(),
            Err(error) => error.reason().to_owned(),
        })
    }

    #[test]
    fn what_is_closed_depends_on_the_control_and_on_the_hold() {
        let (is_paused, held) = (reason::SERVICE_PAUSED, reason::NODE_HELD);
        let inactive = reason::SERVICE_INACTIVE;
        let (pause, in_background, disable) = (paused(false), paused(true), disabled());
        for (control, node_held, expected) in [
            (None, false, ["", "", ""]),
            (pause.clone(), false, [is_paused, is_paused, ""]),
            (in_background.clone(), false, ["", is_paused, ""]),
            (disable.clone(), false, [inactive, inactive, inactive]),
            (None, true, [held, held, ""]),
            (pause, true, [held, held, ""]),
            (in_background, true, [held, held, ""]),
            (disable, true, [inactive, inactive, inactive]),
        ] {
            let gate = Gate::new(control.clone(), node_held);
            assert_eq!(refusals(&gate), expected, "{control:?}, held: {node_held}");
            let is_open = control.is_none() && !node_held;
            assert_eq!(gate.begin_attempt().is_some(), is_open);
            assert_eq!(gate.is_background_closed(), !is_open);
        }
    }

    #[test]
    fn a_pause_settles_once_the_attempts_that_were_about_to_start_have_started() {
        let gate = Gate::new(None, false);
        let (one, two) = (gate.begin_attempt(), gate.begin_attempt());
        gate.set(paused(false), false);
        assert!(gate.begin_attempt().is_none());
        let mut settled = Box::pin(gate.settled());
        assert!((&mut settled).now_or_never().is_none());
        drop(one);
        assert!((&mut settled).now_or_never().is_none());
        drop(two);
        assert!(settled.now_or_never().is_some());
    }

    #[test]
    fn a_disabled_service_settles_once_what_was_being_accepted_is_stored() {
        let gate = Gate::new(None, false);
        let (accepting, starting) = (gate.begin_acceptance(), gate.begin_attempt());
        // A pause accepts, and does not wait for it.
        gate.set(paused(false), false);
        let mut settled = Box::pin(gate.settled());
        assert!((&mut settled).now_or_never().is_none());
        drop(starting);
        assert!(settled.now_or_never().is_some());
        gate.set(disabled(), false);
        assert!(gate.check_acceptance(&service()).is_err());
        let mut settled = Box::pin(gate.settled());
        assert!((&mut settled).now_or_never().is_none());
        drop(accepting);
        assert!(settled.now_or_never().is_some());
    }

    #[test]
    fn a_pause_that_is_undone_settles() {
        let gate = Gate::new(None, false);
        let _starting = gate.begin_attempt();
        gate.set(paused(false), false);
        let mut settled = Box::pin(gate.settled());
        assert!((&mut settled).now_or_never().is_none());
        gate.set(None, false);
        assert!(settled.now_or_never().is_some());
    }

    #[test]
    fn a_call_that_waits_is_refused_when_its_service_is_paused() {
        let gate = Gate::new(None, false);
        let service = service();
        let mut refused = Box::pin(gate.calls_refused(&service));
        assert!((&mut refused).now_or_never().is_none());
        gate.set(paused(true), false);
        assert!((&mut refused).now_or_never().is_none());
        gate.set(paused(false), false);
        let error = refused.now_or_never().unwrap();
        assert_eq!(error.reason(), reason::SERVICE_PAUSED);
    }
}
