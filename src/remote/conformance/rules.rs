//! The rules that the checks refer to, each with its section of `docs/worker-protocol.md`.

use super::report::Rule;

const fn rule(section: &'static str, text: &'static str) -> Rule {
    Rule { text, section }
}

pub(super) const HELLO_FIRST: Rule = rule(
    "Hello and welcome",
    "a worker sends its hello as the first message, within 10 s, without waiting for the node",
);
pub(super) const HELLO_VALID: Rule = rule(
    "Hello and welcome",
    "a hello names 1 to 10 000 services with valid declarations, and known capabilities",
);
pub(super) const ONE_HELLO: Rule = rule("Hello and welcome", "a worker sends one hello");
pub(super) const SELECTED: Rule = rule("Checklist", "`--service` names a service of the worker");
pub(super) const ANSWERED: Rule = rule(
    "Dispatches and results",
    "each dispatch is answered with one result or failure",
);
pub(super) const TOKEN: Rule = rule(
    "Dispatches and results",
    "a result carries the token of its dispatch",
);
pub(super) const OUTPUT: Rule = rule(
    "Dispatches and results",
    "a result has an outcome: a response that matches the declaration, or a failure with a code",
);
pub(super) const STREAM_STAYS: Rule = rule(
    "The end of a stream",
    "a worker keeps its stream open until it has drained, or the node ends it",
);
pub(super) const IGNORED: Rule = rule(
    "Hello and welcome",
    "a worker ignores messages that it does not know, and messages without content",
);
pub(super) const CREDIT: Rule = rule(
    "Credit",
    "a worker accepts `max_in_flight` dispatches at the same time",
);
pub(super) const OVERDUE: Rule = rule(
    "Cancellation",
    "a dispatch whose deadline has passed is still answered: it uses a credit until then",
);
pub(super) const CANCEL: Rule = rule(
    "Cancellation",
    "a cancelled dispatch is answered within the grace period",
);
pub(super) const MESSAGE_BYTES: Rule = rule(
    "Limits",
    "a worker accepts messages of up to `max_message_bytes`",
);
pub(super) const BATCHES: Rule = rule(
    "Batching",
    "a worker with CAPABILITY_BATCHING accepts `dispatches`",
);
pub(super) const REPETITION: Rule = rule(
    "Resume",
    "a dispatch whose token the worker has already is a repetition: it is ignored",
);
pub(super) const RECONNECT: Rule = rule(
    "Reconnecting",
    "a worker whose stream ends connects again, within the lease",
);
pub(super) const BACKOFF: Rule = rule(
    "Reconnecting",
    "a worker waits before each attempt to connect: 100 ms, doubled up to a few seconds, at random",
);
pub(super) const RESUME_HELLO: Rule = rule(
    "Resume",
    "a worker that resumes sends its session, and the tokens of dispatches that run or are not acknowledged",
);
pub(super) const SAME_HELLO: Rule = rule(
    "Resume",
    "a hello that resumes a session announces the same services, capabilities and limits",
);
pub(super) const RESEND: Rule = rule(
    "Resume",
    "after a resume, a worker sends every result again that no `received` has named",
);
pub(super) const FORGET: Rule = rule(
    "Resume",
    "a worker removes results that `received` names, and dispatches that `welcome` does not list",
);
pub(super) const FRESH: Rule = rule(
    "Resume",
    "a worker whose resume is refused connects again without `session` and `tokens`",
);
pub(super) const NEW_SESSION: Rule = rule(
    "Resume",
    "a welcome may contain another session, which replaces the one before",
);
pub(super) const DRAIN: Rule = rule(
    "Drain",
    "after the node's `drain`, a worker finishes its dispatches on that stream",
);
pub(super) const PING: Rule = rule(
    "Keep-alive",
    "a worker answers HTTP/2 PINGs within 10 s, also while its handlers run",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_refers_to_a_section_of_the_documentation() {
        let page = include_str!("../../../docs/worker-protocol.md");
        let headings: Vec<&str> = page
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches('#').trim())
            .collect();
        for rule in [
            HELLO_FIRST,
            HELLO_VALID,
            ANSWERED,
            TOKEN,
            OUTPUT,
            STREAM_STAYS,
            IGNORED,
            CREDIT,
            OVERDUE,
            CANCEL,
            MESSAGE_BYTES,
            BATCHES,
            REPETITION,
            RECONNECT,
            BACKOFF,
            RESUME_HELLO,
            RESEND,
            FORGET,
            FRESH,
            NEW_SESSION,
            DRAIN,
            PING,
        ] {
            assert!(headings.contains(&rule.section), "{}", rule.section);
        }
    }
}
