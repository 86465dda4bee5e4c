//! Invocations: requests, records, events, states and retry policies.

mod completion;
mod event;
mod filter;
mod fingerprint;
mod group;
mod nested_call;
mod progress;
mod record;
mod request;
mod retry;
mod state;
mod summary;
mod terms;

pub use self::completion::AsyncCompletion;
pub(crate) use self::event::failure_of;
pub use self::event::{Event, EventKind, Outcome, SEQUENCES_PER_GENERATION};
pub use self::filter::{AnyCaseText, Filter};
pub use self::fingerprint::{Fingerprint, fingerprint, fingerprint_of_all};
pub use self::group::{Group, Grouping, Member};
pub use self::nested_call::{NestedCall, NestedCalls};
pub use self::progress::{Progress, ProgressRecord};
pub use self::record::Invocation;
pub use self::request::Request;
pub use self::retry::{RetryPolicy, should_retry};
/// The name within the rooms; that of the API differs from the extractor `State`.
pub use self::state::InvocationState as State;
pub use self::state::{InvocationState, Transition};
pub use self::summary::{Summaries, Summary, SummaryCount, SummaryKey};
pub use self::terms::{HELD, InReplyTo, OnExhausted, Terms};
