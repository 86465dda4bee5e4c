//! Management of stored invocations: list, summarize, cancel, retry, purge.

use super::connection::ContractClient;
use crate::codec::convert::payload_to_proto;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::model::id::Cid;
use crate::model::payload::Payload;

/// Selects invocations.
#[derive(Clone, Debug)]
pub enum Selector {
    /// By CID.
    Cids(Vec<Cid>),
    /// By filter. The node refuses one without a criterion.
    Filter(Box<v1::InvocationFilter>),
    /// All of them.
    All,
}

impl From<Cid> for Selector {
    fn from(cid: Cid) -> Self {
        Self::Cids(vec![cid])
    }
}

impl From<&[Cid]> for Selector {
    fn from(cids: &[Cid]) -> Self {
        Self::Cids(cids.to_vec())
    }
}

impl<const N: usize> From<&[Cid; N]> for Selector {
    fn from(cids: &[Cid; N]) -> Self {
        Self::Cids(cids.to_vec())
    }
}

impl From<v1::InvocationFilter> for Selector {
    fn from(filter: v1::InvocationFilter) -> Self {
        Self::Filter(Box::new(filter))
    }
}

impl Selector {
    /// The fields of a request: `cids`, `filter`, `all`.
    fn into_fields(self) -> (Vec<String>, Option<v1::InvocationFilter>, bool) {
        match self {
            Self::Cids(cids) => (cids.iter().map(Cid::to_string).collect(), None, false),
            Self::Filter(filter) => (Vec::new(), Some(*filter), false),
            Self::All => (Vec::new(), None, true),
        }
    }
}

/// The changes of one page, and the token of the next page.
type Page = (Vec<v1::InvocationChange>, String);

impl ContractClient {
    /// Lists up to `max` stored invocations, newest first.
    ///
    /// # Errors
    ///
    /// The node's answer; `UNAVAILABLE` where the connection is lost.
    pub async fn invocations(
        &self,
        filter: v1::InvocationFilter,
        max: usize,
    ) -> Result<Vec<v1::Invocation>> {
        let mut invocations = Vec::new();
        self.each_invocation(filter, max, |found| invocations.push(found))
            .await?;
        Ok(invocations)
    }

    /// Passes up to `max` stored invocations to a function, newest first, page by page.
    ///
    /// # Errors
    ///
    /// As for [`invocations`](Self::invocations).
    pub async fn each_invocation(
        &self,
        filter: v1::InvocationFilter,
        max: usize,
        mut each: impl FnMut(v1::Invocation),
    ) -> Result<()> {
        const PAGE: usize = 1_000;
        let (mut left, mut page_token) = (max, String::new());
        while left > 0 {
            let request = v1::ListInvocationsRequest {
                filter: Some(filter.clone()),
                page_size: u32::try_from(left.min(PAGE)).unwrap_or_default(),
                page_token,
                ..v1::ListInvocationsRequest::default()
            };
            let list = async || {
                self.invocation
                    .clone()
                    .list_invocations(request.clone())
                    .await
            };
            let response = self.read(list).await?;
            left = left.saturating_sub(response.invocations.len());
            response.invocations.into_iter().for_each(&mut each);
            page_token = response.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// Counts stored invocations by service, state and reason of the last failure.
    ///
    /// # Errors
    ///
    /// As for [`invocations`](Self::invocations).
    pub async fn summarize(
        &self,
        filter: v1::InvocationFilter,
    ) -> Result<v1::SummarizeInvocationsResponse> {
        let request = v1::SummarizeInvocationsRequest {
            filter: Some(filter),
            filter_expression: String::new(),
        };
        let summarize = async || {
            self.invocation
                .clone()
                .summarize_invocations(request.clone())
                .await
        };
        self.read(summarize).await
    }

    /// Cancels invocations; returns the change of each. A filter is processed page by page: where the connection is
    /// lost, some invocations are cancelled and others are not.
    ///
    /// # Errors
    ///
    /// The node's answer; `UNAVAILABLE` where the connection is lost.
    pub async fn cancel(
        &self,
        selector: impl Into<Selector>,
        dry_run: bool,
    ) -> Result<Vec<v1::InvocationChange>> {
        self.cancel_for(selector, "", dry_run).await
    }

    /// Cancels invocations for a reason of the operator, of at most 1 KiB; returns the change of each.
    ///
    /// # Errors
    ///
    /// As for [`cancel`](Self::cancel).
    pub async fn cancel_for(
        &self,
        selector: impl Into<Selector>,
        reason: &str,
        dry_run: bool,
    ) -> Result<Vec<v1::InvocationChange>> {
        let (cids, filter, all) = selector.into().into_fields();
        let page = async |page_token| {
            let request = v1::CancelInvocationsRequest {
                cids: cids.clone(),
                filter: filter.clone(),
                all,
                dry_run,
                page_token,
                reason: reason.to_owned(),
                filter_expression: String::new(),
            };
            let cancel = async || {
                self.invocation
                    .clone()
                    .cancel_invocations(request.clone())
                    .await
            };
            let response = self.write(cancel).await?;
            Ok((response.changes, response.next_page_token))
        };
        all_pages(page).await
    }

    /// Retries invocations; returns the change of each.
    ///
    /// # Errors
    ///
    /// As for [`cancel`](Self::cancel).
    pub async fn retry(
        &self,
        selector: impl Into<Selector>,
        dry_run: bool,
    ) -> Result<Vec<v1::InvocationChange>> {
        let (cids, filter, all) = selector.into().into_fields();
        let page = async |page_token| {
            let request = v1::RetryInvocationsRequest {
                cids: cids.clone(),
                filter: filter.clone(),
                all,
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
            let response = self.write(retry).await?;
            Ok((response.changes, response.next_page_token))
        };
        all_pages(page).await
    }

    /// Retries one invocation, with another input.
    ///
    /// # Errors
    ///
    /// The node's answer; `INVALID_ARGUMENT` / `VALUE_INVALID` for an input that cannot be encoded; `UNAVAILABLE`
    /// where the connection is lost.
    pub async fn retry_with(&self, cid: Cid, input: Payload) -> Result<Vec<v1::InvocationChange>> {
        let (input, data_format) = payload_to_proto(input)?;
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
        let response = self.write(retry).await?;
        Ok(response.changes)
    }

    /// Purges invocations that have ended; returns the change of each.
    ///
    /// # Errors
    ///
    /// As for [`cancel`](Self::cancel).
    pub async fn purge(
        &self,
        selector: impl Into<Selector>,
        dry_run: bool,
    ) -> Result<Vec<v1::InvocationChange>> {
        let (cids, filter, all) = selector.into().into_fields();
        let page = async |page_token| {
            let request = v1::PurgeInvocationsRequest {
                cids: cids.clone(),
                filter: filter.clone(),
                all,
                dry_run,
                page_token,
                filter_expression: String::new(),
            };
            let purge = async || {
                self.invocation
                    .clone()
                    .purge_invocations(request.clone())
                    .await
            };
            let response = self.write(purge).await?;
            Ok((response.changes, response.next_page_token))
        };
        all_pages(page).await
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
