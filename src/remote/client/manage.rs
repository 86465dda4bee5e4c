//! What operators do with stored invocations: list them, cancel them, run them again, remove them.

use tonic::{Response, Status};

use super::Client;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::payload::Payload;
use crate::remote::again::{self, never_sent};
use crate::remote::wire;

/// Which invocations are meant.
#[derive(Clone, Debug)]
pub enum Chosen {
    /// These.
    Cids(Vec<Cid>),
    /// All that a filter lets through.
    Filter(Box<v1::InvocationFilter>),
}

impl From<Cid> for Chosen {
    fn from(cid: Cid) -> Self {
        Self::Cids(vec![cid])
    }
}

impl From<&[Cid]> for Chosen {
    fn from(cids: &[Cid]) -> Self {
        Self::Cids(cids.to_vec())
    }
}

impl<const N: usize> From<&[Cid; N]> for Chosen {
    fn from(cids: &[Cid; N]) -> Self {
        Self::Cids(cids.to_vec())
    }
}

impl From<v1::InvocationFilter> for Chosen {
    fn from(filter: v1::InvocationFilter) -> Self {
        Self::Filter(Box::new(filter))
    }
}

impl Chosen {
    /// As requests have it: CIDs, or a filter.
    fn parts(self) -> (Vec<String>, Option<v1::InvocationFilter>) {
        match self {
            Self::Cids(cids) => (cids.iter().map(Cid::to_string).collect(), None),
            Self::Filter(filter) => (Vec::new(), Some(*filter)),
        }
    }
}

/// What was done with some of those that were chosen, and where the rest begins.
type Page = (Vec<v1::InvocationChange>, String);

impl Client {
    /// Lists up to `max` stored invocations, newest first.
    ///
    /// # Errors
    ///
    /// What the node answered; `UNAVAILABLE` where the connection is lost.
    pub async fn invocations(
        &self,
        filter: v1::InvocationFilter,
        max: usize,
    ) -> Result<Vec<v1::Invocation>> {
        const PAGE: usize = 1_000;
        let mut invocations = Vec::new();
        let mut page_token = String::new();
        while invocations.len() < max {
            let request = v1::ListInvocationsRequest {
                filter: Some(filter.clone()),
                page_size: u32::try_from((max - invocations.len()).min(PAGE)).unwrap_or_default(),
                page_token,
                ..v1::ListInvocationsRequest::default()
            };
            let list = async || {
                self.invocation
                    .clone()
                    .list_invocations(request.clone())
                    .await
            };
            let response = self.ask(list).await?;
            invocations.extend(response.invocations);
            page_token = response.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        Ok(invocations)
    }

    /// Cancels invocations; answers what became of each. Those that a filter lets through are taken page by page: where
    /// the connection is lost, some are cancelled and others are not.
    ///
    /// # Errors
    ///
    /// What the node answered; `UNAVAILABLE` where the connection is lost.
    pub async fn cancel(
        &self,
        chosen: impl Into<Chosen>,
        dry_run: bool,
    ) -> Result<Vec<v1::InvocationChange>> {
        let (cids, filter) = chosen.into().parts();
        let page = async |page_token| {
            let request = v1::CancelInvocationsRequest {
                cids: cids.clone(),
                filter: filter.clone(),
                dry_run,
                page_token,
                ..v1::CancelInvocationsRequest::default()
            };
            let cancel = async || {
                self.invocation
                    .clone()
                    .cancel_invocations(request.clone())
                    .await
            };
            let response = self.change(cancel).await?;
            Ok((response.changes, response.next_page_token))
        };
        all_pages(page).await
    }

    /// Runs invocations again; answers what became of each.
    ///
    /// # Errors
    ///
    /// As for [`cancel`](Self::cancel).
    pub async fn retry(
        &self,
        chosen: impl Into<Chosen>,
        dry_run: bool,
    ) -> Result<Vec<v1::InvocationChange>> {
        let (cids, filter) = chosen.into().parts();
        let page = async |page_token| {
            let request = v1::RetryInvocationsRequest {
                cids: cids.clone(),
                filter: filter.clone(),
                dry_run,
                page_token,
                ..v1::RetryInvocationsRequest::default()
            };
            let retry = async || {
                self.invocation
                    .clone()
                    .retry_invocations(request.clone())
                    .await
            };
            let response = self.change(retry).await?;
            Ok((response.changes, response.next_page_token))
        };
        all_pages(page).await
    }

    /// Runs one invocation again, with another input.
    ///
    /// # Errors
    ///
    /// What the node answered; `INVALID_ARGUMENT` / `VALUE_INVALID` for an input that cannot be carried; `UNAVAILABLE`
    /// where the connection is lost.
    pub async fn retry_with(&self, cid: Cid, input: Payload) -> Result<Vec<v1::InvocationChange>> {
        let (input, data_format) = wire::input_to_proto(input)?;
        let request = v1::RetryInvocationsRequest {
            cids: vec![cid.to_string()],
            input: Some(input),
            data_format,
            ..v1::RetryInvocationsRequest::default()
        };
        let retry = async || {
            self.invocation
                .clone()
                .retry_invocations(request.clone())
                .await
        };
        let response = self.change(retry).await?;
        Ok(response.changes)
    }

    /// Removes invocations that have ended; answers what became of each.
    ///
    /// # Errors
    ///
    /// As for [`cancel`](Self::cancel).
    pub async fn purge(
        &self,
        chosen: impl Into<Chosen>,
        dry_run: bool,
    ) -> Result<Vec<v1::InvocationChange>> {
        let (cids, filter) = chosen.into().parts();
        let page = async |page_token| {
            let request = v1::PurgeInvocationsRequest {
                cids: cids.clone(),
                filter: filter.clone(),
                dry_run,
                page_token,
            };
            let purge = async || {
                self.invocation
                    .clone()
                    .purge_invocations(request.clone())
                    .await
            };
            let response = self.change(purge).await?;
            Ok((response.changes, response.next_page_token))
        };
        all_pages(page).await
    }

    /// Changes something, once: it is said again only where the node was not reached.
    pub(super) async fn change<T, F>(&self, change: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<Response<T>, Status>>,
    {
        let response = again::say(self.tries, never_sent, change).await?;
        Ok(response.into_inner())
    }
}

async fn all_pages(
    mut page: impl AsyncFnMut(String) -> Result<Page>,
) -> Result<Vec<v1::InvocationChange>> {
    let (mut all, mut token) = page(String::new()).await?;
    while !token.is_empty() {
        let (more, next) = page(token).await?;
        all.extend(more);
        token = next;
    }
    Ok(all)
}
