//! The newest invocations: those that the indexes of the file do not contain yet.
//!
//! An index over all invocations would take a page of each commit. The tables `cid_index`, `service_index` and
//! `purge_queue` are therefore written for many invocations at once (`commands/index_newest.rs`); until then, their
//! invocations are found here. There are [`MAX_NEWEST`] at most, and none is left when the store is closed or opened,
//! unless the indexes are damaged.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use crate::model::id::{Cid, ServiceName};

/// Reads up to which id the indexes of the file contain all invocations.
pub(super) const SELECT_INDEXED: &str = "SELECT value FROM meta WHERE key = 'indexed'";
/// Notes it.
pub(super) const SET_INDEXED: &str = "UPDATE meta SET value = ?1 WHERE key = 'indexed'";

/// How many invocations the indexes of the file lack at most, after each commit.
pub(super) const MAX_NEWEST: usize = 2_048;
/// How many of them stay when the others are added to the indexes. Most invocations end while they are among these, and
/// then never have a row in `pending`.
pub(super) const KEPT_NEWEST: usize = 1_024;
/// How many there are at most once the indexes have turned out to be damaged. Nothing more is written then.
pub(super) const MAX_UNINDEXED: usize = 65_536;

/// An invocation that the indexes do not contain.
#[derive(Clone, Debug)]
pub(super) struct Newest {
    pub(super) id: i64,
    pub(super) service: ServiceName,
    pub(super) place: Place,
}

/// Where the state of an invocation is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere: it is as it was accepted, due at this time.
    Accepted { due: i64 },
    /// In a row of `pending`.
    Pending,
    /// In a row of `outcome`. `None`: it is held for its group.
    Ended { purge_time: Option<i64> },
}

/// What a transaction changes: each invocation as it is afterwards; `None` once the indexes contain it, or it is gone.
pub(super) type NewestChanges = HashMap<Cid, Option<Newest>, RandomState>;

/// The newest invocations by CID, and the ids that were given out.
#[derive(Debug, Default)]
pub(super) struct NewestInvocations {
    by_cid: HashMap<Cid, Newest, RandomState>,
    in_order: BTreeMap<i64, Cid>,
    pub(super) limits: Limits,
}

/// What the invocations of the store do not exceed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    /// The highest id that was given out.
    pub(super) id: i64,
    /// The highest CID that was accepted and is remembered, by a tombstone at least. Most new ones are higher, as they
    /// begin with the time; they need not be looked up.
    pub(super) cid: Option<Cid>,
}

impl NewestInvocations {
    pub(super) fn get(&self, cid: Cid) -> Option<&Newest> {
        self.by_cid.get(&cid)
    }

    pub(super) fn len(&self) -> usize {
        self.in_order.len()
    }

    /// In the order of acceptance.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Cid, &Newest)> {
        let cids = self.in_order.values();
        cids.filter_map(|cid| Some((*cid, self.by_cid.get(cid)?)))
    }

    /// Applies the changes of a transaction that is committed.
    pub(super) fn apply(&mut self, changes: NewestChanges, limits: Limits) {
        self.limits = limits;
        for (cid, newest) in changes {
            match newest {
                Some(newest) => {
                    self.in_order.insert(newest.id, cid);
                    self.by_cid.insert(cid, newest);
                }
                None => {
                    if let Some(newest) = self.by_cid.remove(&cid) {
                        self.in_order.remove(&newest.id);
                    }
                }
            }
        }
    }

    /// The invocations of a service that are as they were accepted and are not excluded, those that are due first in
    /// front.
    pub(super) fn accepted(
        &self,
        service: &ServiceName,
        is_excluded: impl Fn(Cid) -> bool,
    ) -> Vec<AcceptedId> {
        let accepted = self.iter().filter_map(|(cid, newest)| match newest.place {
            Place::Accepted { due } if newest.service == *service && !is_excluded(cid) => {
                let id = newest.id;
                Some(AcceptedId { due, id })
            }
            _ => None,
        });
        let mut accepted: Vec<_> = accepted.collect();
        accepted.sort_unstable();
        accepted
    }
}

/// An invocation that is as it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AcceptedId {
    pub(super) due: i64,
    pub(super) id: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(id: i64, place: Place) -> Option<Newest> {
        let service = ServiceName::parse("a").unwrap();
        Some(Newest { id, service, place })
    }

    #[test]
    fn changes_are_applied_in_the_order_of_acceptance() {
        let mut all = NewestInvocations::default();
        let cids: Vec<Cid> = (0..4).map(|_| Cid::new()).collect();
        let due = [7, 5, 5, 1];
        let places = due.map(|due| Place::Accepted { due });
        let ids = [4, 3, 2, 1];
        let new = cids.iter().zip(ids.into_iter().zip(places));
        let new = new.map(|(cid, (id, place))| (*cid, newest(id, place)));
        let limits = Limits {
            id: 4,
            cid: cids.last().copied(),
        };
        all.apply(new.collect(), limits);
        let in_order: Vec<Cid> = all.iter().map(|(cid, _)| cid).collect();
        assert!(in_order.iter().eq(cids.iter().rev()));
        let service = ServiceName::parse("a").unwrap();
        let accepted = |all: &NewestInvocations, excluded: Cid| {
            let accepted = all.accepted(&service, |cid| cid == excluded);
            accepted
                .iter()
                .map(|one| (one.due, one.id))
                .collect::<Vec<_>>()
        };
        assert_eq!(accepted(&all, cids[3]), [(5, 2), (5, 3), (7, 4)]);
        let changes = [(cids[1], None), (cids[2], newest(2, Place::Pending))];
        all.apply(changes.into_iter().collect(), limits);
        assert_eq!(accepted(&all, cids[3]), [(7, 4)]);
        assert_eq!((all.len(), all.limits.id), (3, 4));
        assert!(all.get(cids[1]).is_none() && all.get(cids[2]).is_some());
    }
}
