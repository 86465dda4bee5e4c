//! How much of the limits is used: of the node, and of each service.

use std::cmp::Ordering;

use crate::engine::limits::Limits;
use crate::engine::routing::{Route, Routes};
use crate::engine::status::worker::WorkerCounts;
use crate::engine::store::{Store, StoreUsage};
use crate::model::id::ServiceName;

/// How many limits the status shows.
const MAX_SHOWN: usize = 10;

/// How much of a limit is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitUse {
    /// The name of the limit, as in the answers that name it.
    pub name: &'static str,
    /// The service that it applies to; `None` for the node.
    pub service: Option<ServiceName>,
    /// How much is used.
    pub used: u64,
    /// The limit.
    pub limit: u64,
    /// Whether work is refused beyond it. Beyond the others, work waits.
    pub refuses: bool,
}

impl LimitUse {
    fn new(name: &'static str, used: usize, limit: usize) -> Self {
        let long = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Self {
            name,
            service: None,
            used: long(used),
            limit: long(limit),
            refuses: true,
        }
    }

    fn waiting(self) -> Self {
        Self {
            refuses: false,
            ..self
        }
    }

    fn of(self, service: &ServiceName) -> Self {
        Self {
            service: Some(service.clone()),
            ..self
        }
    }

    /// Whether at least so many hundredths of it are used.
    pub(super) fn has_reached(&self, percent: u64) -> bool {
        u128::from(self.used) * 100 >= u128::from(self.limit) * u128::from(percent)
    }

    /// Compares the parts that are used, without dividing: a limit may be 0.
    fn by_part(&self, other: &Self) -> Ordering {
        let part = |one: &Self, of: &Self| u128::from(one.used) * u128::from(of.limit.max(1));
        part(self, other).cmp(&part(other, self))
    }
}

/// The limits of a service.
pub(super) fn of_service(route: &Route, store: &dyn Store) -> impl Iterator<Item = LimitUse> {
    let (name, options) = (route.name(), &route.options);
    let limits = [
        LimitUse::new("pending", store.pending_count(name), options.pending_limit),
        LimitUse::new("queue_length", route.limit.queued(), options.queue_length),
        LimitUse::new("concurrency", route.limit.running(), options.concurrency).waiting(),
    ];
    let used = limits.into_iter().filter(|limit| limit.used > 0);
    used.map(move |limit| limit.of(name))
}

/// The limits of the node.
pub(super) fn of_node(
    limits: &Limits,
    store: &dyn Store,
    routes: &Routes,
    workers: &WorkerCounts,
    usage: Option<StoreUsage>,
) -> impl Iterator<Item = LimitUse> {
    let running = routes.running_handlers();
    let bytes = usage.map(|usage| LimitUse {
        used: usage.bytes,
        limit: usage.accept_limit,
        ..LimitUse::new("bytes", 0, 0)
    });
    let counted = [
        LimitUse::new("pending", store.total_pending_count(), limits.node_pending),
        LimitUse::new("concurrency", running, limits.node_concurrency).waiting(),
        LimitUse::new("workers", workers.workers, limits.workers),
        LimitUse::new("services", routes.all().len(), limits.services),
    ];
    counted.into_iter().chain(bytes)
}

/// The limits that are nearest to being hit: first those beyond which work is refused, then those beyond which it
/// waits.
pub(super) fn nearest(mut limits: Vec<LimitUse>) -> Vec<LimitUse> {
    let name = |limit: &LimitUse| (limit.service.clone(), limit.name);
    limits.sort_by(|one, other| {
        let refusing_first = other.refuses.cmp(&one.refuses);
        refusing_first
            .then_with(|| other.by_part(one))
            .then_with(|| name(one).cmp(&name(other)))
    });
    limits.truncate(MAX_SHOWN);
    limits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_that_are_used_most_come_first() {
        let service = ServiceName::parse("a").unwrap();
        let limits = [
            LimitUse::new("pending", 5, 10),
            LimitUse::new("queue_length", 19, 20).of(&service),
            LimitUse::new("services", 1, 0),
        ];
        let shown = nearest(limits.into());
        let names: Vec<_> = shown.iter().map(|limit| limit.name).collect();
        assert_eq!(names, ["services", "queue_length", "pending"]);
        let reached: Vec<_> = shown.iter().map(|limit| limit.has_reached(90)).collect();
        assert_eq!(reached, [true, true, false]);
        // However many services run as much as they may, a limit that refuses is shown.
        let busy = std::iter::repeat_n(LimitUse::new("concurrency", 9, 9).waiting(), 2 * MAX_SHOWN);
        let shown = nearest(busy.chain([LimitUse::new("pending", 5, 10)]).collect());
        assert_eq!(shown[0].name, "pending");
    }
}
