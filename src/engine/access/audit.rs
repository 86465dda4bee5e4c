//! The audit log of refusals.

use crate::model::access::Caller;
use crate::model::id::truncated;

/// Logs that a caller was refused. `right` is what it lacks, `what` what it asked for.
pub(super) fn refused(caller: &Caller, right: &str, what: &str) {
    tracing::warn!(
        target: "cidery::audit",
        principal = caller.principal().map(tracing::field::display),
        right,
        what = %truncated(&what.escape_debug().to_string()),
        "refused"
    );
}
