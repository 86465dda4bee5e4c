//! CID reservations: CIDs that callers brought, while a synchronous call runs or an acceptance is under way.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;

/// The reserved CIDs of a node.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct CidReservations(Arc<Mutex<HashMap<Cid, Use, RandomState>>>);

#[derive(Clone, Copy, Debug)]
enum Use {
    /// By one synchronous call.
    Call,
    /// By this many requests to accept it: the store decides which of them is the first.
    Accepting(usize),
}

/// A reserved CID; released when dropped.
#[derive(Debug)]
pub(in crate::engine) struct CidReservation {
    reservations: CidReservations,
    cid: Cid,
}

impl CidReservations {
    fn lock(&self) -> MutexGuard<'_, HashMap<Cid, Use, RandomState>> {
        // Entries are inserted and removed whole: the map is consistent even after a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves a CID for a synchronous call, exclusively.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `CID_IN_USE`.
    pub(in crate::engine) fn reserve_for_call(&self, cid: Cid) -> Result<CidReservation> {
        let mut reserved = self.lock();
        if reserved.contains_key(&cid) {
            return Err(cid_in_use(cid));
        }
        reserved.insert(cid, Use::Call);
        Ok(self.reservation(cid))
    }

    /// Reserves a CID for a request to accept it; other such requests may hold it too.
    ///
    /// # Errors
    ///
    /// `ALREADY_EXISTS` / `CID_IN_USE` where a synchronous call has it.
    pub(in crate::engine) fn reserve_for_accept(&self, cid: Cid) -> Result<CidReservation> {
        let mut reserved = self.lock();
        match reserved.entry(cid).or_insert(Use::Accepting(0)) {
            Use::Call => Err(cid_in_use(cid)),
            Use::Accepting(requests) => {
                *requests += 1;
                Ok(self.reservation(cid))
            }
        }
    }

    fn reservation(&self, cid: Cid) -> CidReservation {
        let reservations = self.clone();
        CidReservation { reservations, cid }
    }
}

impl Drop for CidReservation {
    fn drop(&mut self) {
        let mut reserved = self.reservations.lock();
        match reserved.get_mut(&self.cid) {
            Some(Use::Accepting(requests)) if *requests > 1 => *requests -= 1,
            _ => {
                reserved.remove(&self.cid);
            }
        }
    }
}

/// `ALREADY_EXISTS` / `CID_IN_USE`.
pub(in crate::engine) fn cid_in_use(cid: Cid) -> Error {
    let message = format!("an invocation with CID {cid} is already stored or running");
    Error::already_exists(reason::CID_IN_USE, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cid_is_reserved_by_one_call_or_by_many_acceptances() {
        let reservations = CidReservations::default();
        let cid = Cid::new();
        let call = reservations.reserve_for_call(cid).unwrap();
        assert!(reservations.reserve_for_accept(cid).is_err());
        assert!(reservations.reserve_for_call(cid).is_err());
        drop(call);
        let one = reservations.reserve_for_accept(cid).unwrap();
        let two = reservations.reserve_for_accept(cid).unwrap();
        drop(one);
        assert!(reservations.reserve_for_call(cid).is_err());
        drop(two);
        assert!(reservations.reserve_for_call(cid).is_ok());
        assert!(reservations.lock().is_empty());
    }
}
