//! Conversions between the model and the messages of the contract. Stored, transmitted and domain types stay separate.

mod access;
mod declaration;
mod failure;
mod field;
mod metadata;
mod payload;
mod quota;
mod requests;
mod results;
mod sio;
mod time;

pub use self::access::{
    api_key_to_proto, caller_to_proto, new_rights_from_proto, rights_from_proto, rights_to_proto,
    scope_from_proto, scope_to_proto,
};
pub use self::declaration::{declaration_from_proto, declaration_hash, declaration_to_proto};
pub use self::failure::{failure_from_proto, failure_to_proto};
pub use self::field::{
    FieldErrors, enum_from_proto, page_size_from_proto, parse_cids, parse_optional_cid,
    parse_required_cid, text_from_proto,
};
pub use self::metadata::{DISPATCH_KEY, TraceHeaders, metadata_from_proto, metadata_to_proto};
pub use self::payload::{
    PayloadOneof, document_format_from_proto, format_from_proto, format_of, format_to_proto,
    input_from_proto, payload_to_proto, reply_from_proto,
};
pub use self::quota::{quota_from_proto, quota_to_proto};
pub use self::requests::batch::{accepted_group_from_proto, batch_from_proto, batch_to_proto};
pub use self::requests::completion::completion_from_proto;
pub use self::requests::dispatch_result::{
    HandlerAnswer, dispatch_outcome_from_proto, dispatch_result_to_proto,
};
pub use self::requests::filter::filter_from_proto;
pub use self::requests::options::{
    complete_retry_policy, retry_policy_from_proto, retry_policy_to_proto,
    service_options_from_proto, service_options_to_proto,
};
pub use self::requests::request::{
    accepted_from_proto, async_call_from_proto, async_call_to_proto, call_from_proto, call_to_proto,
};
pub use self::results::accepted::{accepted_group_to_proto, accepted_to_proto};
pub use self::results::change::{change_to_proto, failed_change_to_proto};
pub use self::results::control::service_control_to_proto;
pub use self::results::event::{
    event_to_proto, not_found_from_proto, not_found_to_proto, outcome_from_proto,
    progress_event_to_proto, progress_from_proto, progress_to_proto,
};
pub use self::results::invocation::invocation_to_proto;
pub use self::results::operation::{operation_state_to_proto, operation_to_proto};
pub use self::results::outcome::{
    changed_state_from_proto, invocation_outcome_from_proto, retry_cid_from_proto, state_from_proto,
};
pub use self::results::reply::reply_to_proto;
pub use self::results::state::state_to_proto;
pub use self::sio::{sio_from_proto, sio_to_proto};
pub use self::time::{
    duration_from_proto, duration_to_proto, optional_timestamp_from_proto, timestamp_from_proto,
    timestamp_to_proto,
};
