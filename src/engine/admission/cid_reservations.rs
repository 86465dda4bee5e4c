//! CIDs that callers brought and that are being used: by one synchronous call, or by requests to accept an invocation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;

/// The CIDs in use.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Names(Arc<Mutex<HashMap<Cid, Use, RandomState>>>);

#[derive(Clone, Copy, Debug)]
enum Use {
    /// A synchronous call.
    Call,
    /// This many requests to accept it: the store tells which of them was first.
    Accepting(usize),
}

/// A CID in use; free again when dropped.
#[derive(Debug)]
pub(in crate::engine) struct Name {
    names: Names,
    cid: Cid,
}

impl Names {
    fn lock(&self) -> MutexGuard<'_, HashMap<Cid, Use, RandomState>> {
        // Entries are inserted and removed whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a CID for a synchronous call.
    pub(in crate::engine) fn take_alone(&self, cid: Cid) -> Result<Name> {
        let mut names = self.lock();
        if names.contains_key(&cid) {
            return Err(in_use(cid));
        }
        names.insert(cid, Use::Call);
        Ok(self.name(cid))
    }

    /// Takes a CID for a request to accept it.
    pub(in crate::engine) fn take_to_accept(&self, cid: Cid) -> Result<Name> {
        let mut names = self.lock();
        match names.entry(cid).or_insert(Use::Accepting(0)) {
            Use::Call => Err(in_use(cid)),
            Use::Accepting(requests) => {
                *requests += 1;
                Ok(self.name(cid))
            }
        }
    }

    fn name(&self, cid: Cid) -> Name {
        let names = self.clone();
        Name { names, cid }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let mut names = self.names.lock();
        match names.get_mut(&self.cid) {
            Some(Use::Accepting(requests)) if *requests > 1 => *requests -= 1,
            _ => {
                names.remove(&self.cid);
            }
        }
    }
}

/// `ALREADY_EXISTS` / `CID_IN_USE`.
pub(in crate::engine) fn in_use(cid: Cid) -> Error {
    let message = format!("an invocation with CID {cid} is stored or running already");
    Error::already_exists(reason::CID_IN_USE, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_or_many_requests_but_not_both() {
        let names = Names::default();
        let cid = Cid::new();
        let call = names.take_alone(cid).unwrap();
        assert!(names.take_to_accept(cid).is_err());
        assert!(names.take_alone(cid).is_err());
        drop(call);
        let one = names.take_to_accept(cid).unwrap();
        let two = names.take_to_accept(cid).unwrap();
        drop(one);
        assert!(names.take_alone(cid).is_err());
        drop(two);
        assert!(names.take_alone(cid).is_ok());
        assert!(names.lock().is_empty());
    }
}
