//! Looking at one invocation, and waiting for its end.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::engine::Invoker;
use crate::engine::results::follower::{FollowRequest, FollowerEvent, cid_unknown, result_expired};
use crate::engine::store::Stored;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::invocation::{Invocation, State};

/// An invocation as it stands.
#[derive(Clone, Debug)]
pub struct InvocationView {
    /// The invocation.
    pub invocation: Invocation,
    /// Whether it is due, where it is pending.
    pub due: bool,
    /// Whether nobody serves its service now.
    pub unserved: bool,
}

impl Invoker {
    /// Looks at an invocation, at the latest when it has ended or `wait` is over.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `CID_UNKNOWN` or `RESULT_EXPIRED`; what the store answers.
    pub async fn find(&self, cid: Cid, wait: Duration) -> Result<InvocationView> {
        let found = self.look(cid).await?;
        if found.invocation.state.is_terminal() || wait.is_zero() {
            return Ok(found);
        }
        let until = Instant::now().checked_add(wait);
        let mut follower = self.follow(FollowRequest {
            cids: vec![(cid, found.invocation.sequence())],
            ..FollowRequest::default()
        })?;
        let ended = async {
            while let Some(followed) = follower.next().await? {
                if let FollowerEvent::NotFound { error, .. } = followed {
                    return Err(error);
                }
            }
            Ok(())
        };
        match until {
            // Whether it ended or the wait did: as it is now.
            Some(until) => timeout_at(until, ended).await.unwrap_or(Ok(()))?,
            None => ended.await?,
        }
        self.look(cid).await
    }

    pub(in crate::engine) fn found(&self, invocation: Invocation) -> InvocationView {
        let waits = matches!(invocation.state, State::Pending { .. });
        let service = invocation.request.service.as_str();
        InvocationView {
            due: waits && invocation.due <= self.0.clock.now(),
            unserved: waits
                && !self
                    .0
                    .routes
                    .find(service)
                    .is_ok_and(|route| route.is_served()),
            invocation,
        }
    }

    pub(in crate::engine) async fn look(&self, cid: Cid) -> Result<InvocationView> {
        // Before the store is read: what has ended in between is terminal there.
        let live = self.0.hub.live(cid);
        match self.0.store.get(cid).await? {
            Stored::Found(mut invocation) => {
                if let Some(live) = live
                    && !invocation.state.is_terminal()
                {
                    live.overlay(&mut invocation);
                }
                Ok(self.found(*invocation))
            }
            Stored::Removed(tombstone) => Err(result_expired(cid, &tombstone)),
            Stored::Unknown => Err(cid_unknown(cid)),
        }
    }
}
