//! PINGs, which the port sends during the whole run.

use crate::remote::conformance::report::CheckResult;
use crate::remote::conformance::rules;
use crate::remote::conformance::run::Run;

/// Checks that no connection was lost because a PING was not answered.
pub(in crate::remote::conformance) fn pings(run: &Run) -> CheckResult {
    match run.port.missed_pings() {
        0 => Ok(None),
        missed => {
            let seen = format!("{missed} connections on which a PING was not answered");
            Err(rules::PING.broken(seen).into())
        }
    }
}
