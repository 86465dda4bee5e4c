//! How the pause of a service is described to people.

use super::times::local_time;
use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;

/// What an operator did, when, who it was and why: `paused since 2026-01-31 08:30:00 by 127.0.0.1: wrong prices`.
pub(super) fn control_text(control: &v1::ServiceControl) -> String {
    let what = match (control.disabled, control.background_only) {
        (true, _) => "disabled",
        (_, true) => "paused in the background",
        _ => "paused",
    };
    let since = control.time.as_ref().and_then(timestamp_from_proto);
    let since = since.map_or_else(String::new, |time| format!(" since {}", local_time(time)));
    let by = match control.principal.as_str() {
        "" => String::new(),
        principal => format!(" by {principal}"),
    };
    let why = match control.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    format!("{what}{since}{by}{why}")
}

/// The command that undoes it.
pub(super) fn undo(control: &v1::ServiceControl) -> String {
    let verb = match control.disabled {
        true => "enable",
        false => "resume",
    };
    format!("cidery service {verb} {}", control.service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_says_what_when_who_and_why_as_far_as_it_is_known() {
        let mut control = v1::ServiceControl {
            service: "a.b".to_owned(),
            paused: true,
            ..v1::ServiceControl::default()
        };
        assert_eq!(control_text(&control), "paused");
        assert_eq!(undo(&control), "cidery service resume a.b");
        control.background_only = true;
        control.principal = "127.0.0.1".to_owned();
        control.reason = "wrong prices".to_owned();
        let text = "paused in the background by 127.0.0.1: wrong prices";
        assert_eq!(control_text(&control), text);
        control.disabled = true;
        assert_eq!(undo(&control), "cidery service enable a.b");
    }
}
