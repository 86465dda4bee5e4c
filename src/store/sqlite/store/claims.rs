//! What a service may run next: claims, and the place of an invocation among those that wait.

use std::sync::Arc;

use rusqlite::Connection;

use super::SqliteStore;
use crate::engine::store::{Claim, ClaimLimit, QueuePlace};
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::model::invocation::Request;
use crate::store::blob;
use crate::store::sqlite::queries::{self, Claimable, Due, Waiting};

impl SqliteStore {
    /// Reads the due, unclaimed invocations of a service. Those that cannot be decoded are excluded from all claims
    /// until the store is opened again.
    pub(super) async fn due(
        &self,
        service: &ServiceName,
        now: i64,
        limit: ClaimLimit,
    ) -> Result<Due> {
        let (service_name, recovering) = (service.clone(), self.recovering);
        let (claims, accepted) = {
            let entries = self.shared.bookkeeping.lock();
            (
                entries.ledger.claims(service).cloned(),
                entries.accepted(service),
            )
        };
        let cipher = self.shared.cipher.clone();
        let query = move |connection: &Connection| {
            let known = Claimable {
                service: &service_name,
                claims: &claims.unwrap_or_default(),
                accepted: &accepted,
                recovering,
                cipher: &cipher,
            };
            queries::due(connection, &known, now, limit)
        };
        let due = self.claim_reader.query(query).await?;
        let mut entries = self.shared.bookkeeping.lock();
        for error in &due.found.damaged {
            let Some(cid) = error.cid() else {
                self.shared.failures.log(error);
                continue;
            };
            tracing::error!(%cid, %error, "cannot read an invocation; it does not run");
            entries.ledger.quarantine(service, cid);
        }
        drop(entries);
        Ok(due)
    }

    pub(super) async fn claim_due(
        &self,
        service: &ServiceName,
        now: i64,
        limit: ClaimLimit,
    ) -> Result<Claim> {
        if let Some(error) = self.shared.write_failure() {
            return Err(error);
        }
        let handed_over = {
            let mut entries = self.shared.bookkeeping.lock();
            entries.claim_handed_over(service, now, limit)
        };
        if let Some(claim) = handed_over {
            return Ok(claim);
        }
        let _one_at_a_time = self.claim_lock.lock().await;
        let _guard = self.shared.bookkeeping.begin_claim(service);
        let Due {
            found,
            too_large,
            next_due,
            is_all,
        } = loop {
            let due = self.due(service, now, limit).await?;
            // Behind invocations that are skipped from now on, there may be sound ones.
            let mut damaged = due.found.damaged.iter();
            let found_any = !due.found.invocations.is_empty() || due.too_large.is_some();
            if found_any || damaged.all(|error| error.cid().is_none()) {
                break due;
            }
        };
        let mut invocations = found.invocations;
        let found = invocations.len();
        let mut entries = self.shared.bookkeeping.lock();
        invocations.retain(|found| !entries.has_unclaimed_record(found.request.cid));
        let is_all = is_all && invocations.len() == found;
        entries
            .hand_over
            .end_read(service, &invocations, is_all, next_due);
        for invocation in &mut invocations {
            invocation.generation = self.generation;
            entries.ledger.claim(&invocation.request);
        }
        drop(entries);
        let next_due = next_due.filter(|_| invocations.len() < limit.invocations);
        Ok(Claim {
            too_large,
            invocations,
            next_due: next_due.map(blob::timestamp),
        })
    }

    /// What an invocation waits behind.
    pub(super) async fn find_queue_place(
        &self,
        request: &Arc<Request>,
        max: usize,
    ) -> Result<QueuePlace> {
        let (service, key) = (&request.service, request.terms.concurrency_key.as_deref());
        let lookup = self.lookup(request.cid);
        let (claims, accepted, claimed) = {
            let entries = self.shared.bookkeeping.lock();
            if entries.ledger.is_claimed(request.cid) {
                return Ok(QueuePlace::default());
            }
            (
                entries.ledger.claims(service).cloned().unwrap_or_default(),
                entries.accepted(service),
                key.and_then(|key| entries.ledger.key_holder(service, key)),
            )
        };
        let request = Arc::clone(request);
        let query = move |connection: &Connection| {
            let waiting = Waiting {
                lookup,
                service: &request.service,
                concurrency_key: request.terms.concurrency_key.as_deref(),
                claims: &claims,
                accepted: &accepted,
            };
            queries::queue_place(connection, &waiting, max)
        };
        let place = self.readers.query(query).await?;
        Ok(QueuePlace {
            key_holder: claimed.or(place.key_holder),
            ..place
        })
    }
}
