//! The gates of all services, those included that nobody has announced since the start, and the hold of the node.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use tokio_util::sync::CancellationToken;

use super::gate::Gate;
use crate::model::id::ServiceName;
use crate::model::service_control::ServiceControl;

/// The gates of all services.
#[derive(Debug)]
pub(in crate::engine) struct Gates {
    by_service: Mutex<HashMap<ServiceName, Arc<Gate>, RandomState>>,
    /// Fires when the node is not held, or no longer.
    released: CancellationToken,
}

impl Gates {
    /// The gates of services as they were controlled when the node last ran.
    pub(in crate::engine) fn new(controls: Vec<ServiceControl>, node_held: bool) -> Self {
        let gates = controls.into_iter().map(|control| {
            let service = control.service.clone();
            (service, Gate::new(Some(control), node_held))
        });
        let released = CancellationToken::new();
        if !node_held {
            released.cancel();
        }
        Self {
            by_service: Mutex::new(gates.collect()),
            released,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ServiceName, Arc<Gate>, RandomState>> {
        // Every change is one insertion or removal, or the update of one gate.
        self.by_service
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The gate of a service.
    pub(in crate::engine) fn gate(&self, service: &ServiceName) -> Arc<Gate> {
        let mut gates = self.lock();
        let gate = gates
            .entry(service.clone())
            .or_insert_with(|| Gate::new(None, self.is_held()));
        Arc::clone(gate)
    }

    /// Opens or closes the gate of a service.
    pub(in crate::engine) fn set(&self, service: &ServiceName, control: Option<ServiceControl>) {
        let gate = self.gate(service);
        // With the lock, so that the node is not released in between.
        let _gates = self.lock();
        gate.set(control, self.is_held());
    }

    /// Forgets the gate of a service.
    pub(in crate::engine) fn remove(&self, service: &ServiceName) {
        self.lock().remove(service);
    }

    /// The service with this name, if it is paused or disabled.
    pub(in crate::engine) fn controlled(&self, name: &str) -> Option<ServiceName> {
        let control = self.lock().get(name)?.control()?;
        Some(control.service.clone())
    }

    /// The paused and disabled services, by name.
    pub(in crate::engine) fn controls(&self) -> Vec<Arc<ServiceControl>> {
        let gates = self.lock();
        let mut controls: Vec<_> = gates.values().filter_map(|gate| gate.control()).collect();
        drop(gates);
        controls.sort_by(|a, b| a.service.cmp(&b.service));
        controls
    }

    /// Whether the node is held: it accepts, and starts nothing.
    pub(in crate::engine) fn is_held(&self) -> bool {
        !self.released.is_cancelled()
    }

    /// Fires when the node is not held, or no longer.
    pub(in crate::engine) fn released(&self) -> &CancellationToken {
        &self.released
    }

    /// Releases a held node; returns whether it was held.
    pub(in crate::engine) fn release(&self) -> bool {
        let gates = self.lock();
        let was_held = self.is_held();
        self.released.cancel();
        gates.values().for_each(|gate| gate.update(false));
        was_held
    }
}
