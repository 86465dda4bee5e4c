//! How the pause of a service is described to people.

use super::times::local_time;
use crate::codec::convert::timestamp_from_proto;
use crate::codec::proto::v1;

/// What an operator did, when, who it was and why: `paused since 2026-01-31 08:30:00 by 127.0.0.1: wrong prices`.
pub(super) fn control_text(control: &v1::ServiceControl) -> String {
    let paused = match control.background_only {
        true => "paused in the background",
        false => "paused",
    };
    let both = [("disabled", &control.disable), (paused, &control.pause)];
    let both = both
        .into_iter()
        .filter_map(|(what, cause)| Some(of_cause(what, cause.as_ref()?)));
    both.collect::<Vec<_>>().join("; and ")
}

fn of_cause(what: &str, cause: &v1::ControlCause) -> String {
    let since = cause.time.as_ref().and_then(timestamp_from_proto);
    let since = since.map_or_else(String::new, |time| format!(" since {}", local_time(time)));
    let by = match cause.principal.as_str() {
        "" => String::new(),
        principal => format!(" by {principal}"),
    };
    let why = match cause.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    format!("{what}{since}{by}{why}")
}

/// How it is undone: `` `cidery service resume a.b` lets it go on ``.
pub(super) fn undo(control: &v1::ServiceControl) -> String {
    let name = &control.service;
    let verbs = [(control.disabled, "enable"), (control.paused, "resume")];
    let commands = verbs.into_iter().filter(|(is_in_force, _)| *is_in_force);
    let commands = commands.map(|(_, verb)| format!("`cidery service {verb} {name}`"));
    let commands: Vec<_> = commands.collect();
    let lets = if commands.len() == 1 { "lets" } else { "let" };
    format!("{} {lets} it go on", commands.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_says_what_when_who_and_why_as_far_as_it_is_known() {
        let mut control = v1::ServiceControl {
            service: "a.b".to_owned(),
            paused: true,
            pause: Some(v1::ControlCause::default()),
            ..v1::ServiceControl::default()
        };
        assert_eq!(control_text(&control), "paused");
        assert_eq!(undo(&control), "`cidery service resume a.b` lets it go on");
        control.background_only = true;
        control.pause = Some(v1::ControlCause {
            reason: "wrong prices".to_owned(),
            principal: "127.0.0.1".to_owned(),
            time: None,
        });
        let paused = "paused in the background by 127.0.0.1: wrong prices";
        assert_eq!(control_text(&control), paused);
        (control.disabled, control.disable) = (true, Some(v1::ControlCause::default()));
        assert_eq!(control_text(&control), format!("disabled; and {paused}"));
        let both = "`cidery service enable a.b` and `cidery service resume a.b` let it go on";
        assert_eq!(undo(&control), both);
    }
}
