//! The last hour of the node and of its services, in samples of ten seconds: rates, latencies and queues, for charts.
//!
//! Nothing is added to the path of a call: a task reads what metrics count. What is kept is bounded: samples of 22
//! bytes of the services that metrics name, less than 9 MB for a thousand of them. A service that was not called in the
//! last hour has none.

mod compact;
mod ring;
mod sample;
mod sampler;
mod service;
mod totals;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use jiff::Timestamp;

use self::ring::{Ring, SAMPLES};
use self::sample::{Gauges, Packed};
pub use self::sample::{INTERVAL, Sample};
pub(in crate::engine) use self::sampler::start;
pub use self::service::RecentCalls;
use self::service::Service;
use self::totals::Totals;
use crate::model::id::ServiceName;

/// The last hour of a service, or of the node.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// The samples, the oldest first. Those are left out in which nothing happened, and there was nothing.
    pub samples: Vec<Sample>,
    /// When they were read.
    pub time: Timestamp,
    /// When the node started.
    pub start_time: Timestamp,
}

/// The last hour.
#[derive(Debug, Default)]
pub(in crate::engine) struct History(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The number of the last interval: they are counted from the start of the node.
    interval: u64,
    /// When each of the last intervals ended, the oldest first: the clock of the machine may have been stepped.
    ends: VecDeque<Timestamp>,
    node: Ring,
    services: HashMap<ServiceName, Service, RandomState>,
    /// What was counted of all services that are not kept on their own.
    others: Totals,
}

/// What one service had at the end of an interval.
#[derive(Debug)]
struct Observed {
    service: ServiceName,
    totals: Totals,
    gauges: Gauges,
    /// Whether its samples are kept on their own.
    is_named: bool,
}

impl History {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The samples of a service, or of the node, whose interval ended after a time, the oldest first. Those are left
    /// out in which nothing happened and there was nothing.
    pub(in crate::engine) fn samples(
        &self,
        service: Option<&str>,
        after: Option<Timestamp>,
    ) -> Vec<Sample> {
        let state = self.state();
        let ring = match service {
            None => Some(&state.node),
            Some(name) => state.services.get(name).and_then(Service::ring),
        };
        let Some(ring) = ring else {
            return Vec::new();
        };
        let ends = state.ends.iter().rev().zip(0..);
        let samples = ends.map(|(end, back)| (*end, ring.get(state.interval - back)));
        let is_asked = |end: &Timestamp| after.is_none_or(|after| *end > after);
        let samples = samples.filter(|(end, packed)| is_asked(end) && !packed.is_empty());
        let mut samples: Vec<_> = samples.map(|(end, packed)| packed.unpack(end)).collect();
        samples.reverse();
        samples
    }

    /// How a service did in the last minutes; `None` where it was not called.
    pub(in crate::engine) fn recent(&self, service: &str) -> Option<RecentCalls> {
        let state = self.state();
        state.services.get(service)?.recent(state.interval)
    }

    /// Ends an interval with what each service has now.
    fn end_interval(&self, end: Timestamp, observed: Vec<Observed>) {
        let mut state = self.state();
        let state = &mut *state;
        state.interval += 1;
        let interval = state.interval;
        if state.ends.len() >= SAMPLES {
            state.ends.pop_front();
        }
        state.ends.push_back(end);
        let (mut counted, mut gauges) = (Totals::default(), Gauges::default());
        let mut others = Totals::default();
        let mut seen: HashSet<ServiceName, RandomState> = HashSet::default();
        for one in observed {
            gauges.add(&one.gauges);
            if !one.is_named {
                others.add(&one.totals);
                continue;
            }
            let service = state.services.entry(one.service.clone());
            // It had not been called before, or it would be here.
            let service = service.or_insert_with(|| Service::new(interval - 1, Totals::default()));
            counted.add(&service.sample(interval, one.totals, &one.gauges));
            seen.insert(one.service);
        }
        counted.add(&others.since(&state.others));
        state.others = others;
        state.node.put(interval, Packed::new(&counted, &gauges));
        // Those that were forgotten.
        let services = &mut state.services;
        services.retain(|name, _| seen.contains(name));
    }
}

#[cfg(test)]
mod tests;
