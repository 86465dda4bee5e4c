//! The newest invocations: those that the indexes of the file do not contain yet.
//!
//! An index over all invocations would take a page of each commit. The tables `cid_index`, `service_index` and
//! `purge_queue` are therefore written for many invocations at once (`commands/index_newest.rs`); until then, their
//! invocations are found here. There are [`MAX_NEWEST`] at most, and none is left when the store is closed or opened.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;

use crate::model::id::{Cid, ServiceName};

/// How many invocations the indexes of the file lack at most, after each commit.
pub(super) const MAX_NEWEST: usize = 2_048;
/// How many of them stay when the others are added to the indexes. Most invocations end while they are among these, and
/// then never have a row in `pending`.
pub(super) const KEPT_NEWEST: usize = 1_024;

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
    /// The highest id that was given out.
    pub(super) last_id: i64,
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
    pub(super) fn apply(&mut self, changes: NewestChanges) {
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
