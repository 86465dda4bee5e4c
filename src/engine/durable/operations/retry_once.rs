//! Retries that are made once: an invocation that has been retried already is not retried again.

use std::sync::Arc;

use super::maintenance::Maintenance;
use crate::engine::acceptance::origin::Acting;
use crate::engine::results::lookup::InvocationView;
use crate::model::call::Accepted;
use crate::model::error::{Error, Result, reason};
use crate::model::id::Cid;
use crate::model::payload::Payload;
use crate::model::sio::Ignored;

impl Maintenance {
    /// As [`retry`](Self::retry), unless it has been retried already. With a CID for the new one this can be repeated:
    /// it is accepted once.
    ///
    /// # Errors
    ///
    /// As for [`retry`](Self::retry); `FAILED_PRECONDITION` / `ALREADY_RETRIED`; `ALREADY_EXISTS` / `RESULT_EXPIRED`
    /// where the new one has been removed.
    pub(in crate::engine) async fn retry_once(
        self: &Arc<Self>,
        cid: Cid,
        input: Option<Payload>,
        new_cid: Option<Cid>,
        by: Acting,
    ) -> Result<Accepted> {
        let retry = Arc::clone(self).retry_first(cid, input, new_cid, by);
        let tasks = self.lifecycle.tasks();
        tasks.run_to_completion("retry", retry).await
    }

    async fn retry_first(
        self: Arc<Self>,
        cid: Cid,
        input: Option<Payload>,
        new_cid: Option<Cid>,
        by: Acting,
    ) -> Result<Accepted> {
        let _retrying = self.retrying.begin(cid).await;
        // Read now: another caller may have retried it since it was listed.
        match self.results.get(cid).await?.invocation.retried_as {
            Some(retry) if new_cid == Some(retry) => Ok(Accepted {
                cid: retry,
                already_accepted: true,
                ignored: Ignored::default(),
            }),
            Some(retry) => Err(already_retried(cid, retry)),
            None => Arc::clone(&self).retry_now(cid, input, new_cid, by).await,
        }
    }

    /// The invocation that [`retry_once`](Self::retry_once) would retry.
    ///
    /// # Errors
    ///
    /// As for [`check_retry`](Self::check_retry); `FAILED_PRECONDITION` / `ALREADY_RETRIED`.
    pub(in crate::engine) async fn check_retry_once(&self, cid: Cid) -> Result<InvocationView> {
        let view = self.check_retry(cid, None).await?;
        match view.invocation.retried_as {
            Some(retry) => Err(already_retried(cid, retry)),
            None => Ok(view),
        }
    }
}

/// `FAILED_PRECONDITION` / `ALREADY_RETRIED`.
fn already_retried(cid: Cid, retry: Cid) -> Error {
    let message = format!("{cid} has been retried already, as {retry}");
    Error::failed_precondition(reason::ALREADY_RETRIED, message)
}
