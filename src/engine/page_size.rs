//! How much a page of a list has at most.

/// How many bytes a page of a list has at most, unless its only invocation has more: 3 MiB.
///
/// Most clients of gRPC receive messages of up to 4 MiB.
pub const LIST_PAGE_BYTES: usize = 3 << 20;

/// How much a page has at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize {
    /// The number of invocations.
    pub invocations: usize,
    /// Their bytes, unless its only invocation has more.
    pub bytes: usize,
}

impl PageSize {
    /// So many invocations, and [`LIST_PAGE_BYTES`].
    #[must_use]
    pub const fn of(invocations: usize) -> Self {
        Self {
            invocations,
            bytes: LIST_PAGE_BYTES,
        }
    }
}
