//! The object of invocations that are counted by service, state and reason.

use crate::app::cli::names::{state_name, text_value, time_value};
use crate::codec::proto::v1;
use crate::dict;
use crate::model::value::Value;

/// `dead_letters` in the schema.
pub(in crate::app::cli) fn dead_letters(letters: &v1::InvocationSummary) -> Value {
    dict! {
        "service": text_value(&letters.service),
        "state": state_name(letters.state),
        "held": letters.pending_reason() == v1::PendingReason::Held,
        "failure_reason": text_value(&letters.failure_reason),
        "count": letters.count,
        "first_accept_time": time_value(letters.first_accept_time.as_ref()),
        "last_accept_time": time_value(letters.last_accept_time.as_ref()),
        "last_end_time": time_value(letters.last_end_time.as_ref()),
        "example_cid": letters.example_cid.as_str(),
        "example_message": text_value(&letters.example_message),
    }
    .into()
}
