//! Filters and pagination of stored invocations.

use crate::codec::filter::resolve;
use crate::codec::proto::v1;
use crate::edge::grpc::request::malformed_page_token;
use crate::engine::{InvocationPage, InvocationSummaries, InvocationView, Invoker, Selection};
use crate::model::error::{Error, Result, reason};
use crate::model::id::ServiceName;
use crate::model::invocation::{Summaries, SummaryCount, SummaryKey};

/// How many invocations are read at once to be counted.
const SUMMARIZED_PAGE: usize = 1_000;

/// Parses a page token; an empty one is the first page.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID`.
pub(super) fn parse_page_token(token: &str) -> Result<Option<u64>> {
    if token.is_empty() {
        return Ok(None);
    }
    token.parse().map(Some).map_err(|_| malformed_page_token())
}

/// The token of the next page; empty after the last one.
pub(super) fn page_token(next: Option<u64>) -> String {
    next.map(|next| next.to_string()).unwrap_or_default()
}

/// A filter of a request.
#[derive(Clone, Debug, Default)]
pub(in crate::edge::grpc) struct RequestFilter {
    selection: Selection,
}

impl From<Selection> for RequestFilter {
    /// That of an operation, which has a criterion.
    fn from(selection: Selection) -> Self {
        Self { selection }
    }
}

impl RequestFilter {
    /// That of a message. An absent one matches every invocation.
    ///
    /// # Errors
    ///
    /// As for [`Selection::parse`].
    pub(in crate::edge::grpc) fn new(
        invoker: &Invoker,
        filter: Option<v1::InvocationFilter>,
    ) -> Result<Self> {
        let max_values = invoker.limits().filter_values;
        Selection::parse(filter, max_values).map(|selection| Self { selection })
    }

    /// That of a request, which is a message or a text.
    ///
    /// # Errors
    ///
    /// As for [`resolve`] and [`Selection::parse`].
    pub(in crate::edge::grpc) fn resolve(
        invoker: &Invoker,
        filter: Option<v1::InvocationFilter>,
        expression: &str,
    ) -> Result<Self> {
        Self::new(invoker, resolve(filter, expression, invoker.now())?)
    }

    /// One page of the invocations that match.
    ///
    /// # Errors
    ///
    /// The errors of the store.
    pub(in crate::edge::grpc) async fn page(
        &self,
        invoker: &Invoker,
        before: Option<u64>,
        size: usize,
    ) -> Result<InvocationPage> {
        let mut page = invoker
            .list(self.selection.filter.clone(), before, size)
            .await?;
        page.found.retain(|found| self.selection.matches(found));
        Ok(page)
    }

    /// As [`page`](Self::page), those that the caller may change.
    ///
    /// # Errors
    ///
    /// As for [`page`](Self::page).
    pub(super) async fn page_to_change(
        &self,
        invoker: &Invoker,
        before: Option<u64>,
        size: usize,
    ) -> Result<InvocationPage> {
        let filter = self.selection.filter.clone();
        let mut page = invoker.list_to_change(filter, before, size).await?;
        page.found.retain(|found| self.selection.matches(found));
        Ok(page)
    }

    /// Counts the invocations that match; returns the `max` most frequent counts.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `COST_LIMIT` where too many would have to be read; the errors of the store.
    pub(in crate::edge::grpc) async fn summarize(
        &self,
        invoker: &Invoker,
        max: usize,
    ) -> Result<InvocationSummaries> {
        if self.selection.is_known_to_the_store() {
            return invoker.summarize(self.selection.filter.clone(), max).await;
        }
        // Why the others wait is known once they are read.
        let (mut all, mut before, mut read) = (Summaries::default(), None, 0_usize);
        let limit = invoker.limits().counted_invocations;
        loop {
            let filter = self.selection.filter.clone();
            let page = invoker.list(filter, before, SUMMARIZED_PAGE).await?;
            read = read.saturating_add(page.found.len());
            if read > limit {
                return Err(too_many_to_read(limit));
            }
            let matching = page.found.iter().filter(|it| self.selection.matches(it));
            for InvocationView { invocation, .. } in matching {
                all.add(SummaryKey::of(invocation), &SummaryCount::of(invocation));
            }
            before = page.next;
            if before.is_none() {
                return invoker.with_examples(all, max).await;
            }
        }
    }

    /// Whether it matches every invocation.
    pub(in crate::edge::grpc) fn is_empty(&self) -> bool {
        self.selection.filter.is_empty()
    }

    /// Whether a service has invocations that may match.
    pub(in crate::edge::grpc) fn names(&self, service: &ServiceName) -> bool {
        let services = &self.selection.filter.services;
        services.is_empty() || services.contains(service)
    }

    /// Whether an invocation matches.
    pub(in crate::edge::grpc) fn matches(&self, found: &InvocationView) -> bool {
        self.selection.filter.matches(&found.invocation) && self.selection.matches(found)
    }
}

/// `INVALID_ARGUMENT` / `COST_LIMIT`.
fn too_many_to_read(limit: usize) -> Error {
    let message = format!(
        "more than {limit} pending invocations would be read to count them by this reason: add a service or a time to \
         the filter"
    );
    Error::invalid_argument(reason::COST_LIMIT, message).with_info("counted_invocations", limit)
}
