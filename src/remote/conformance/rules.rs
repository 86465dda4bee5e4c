//! The rules that the checks refer to, each with its section of `docs/worker-protocol.md`.

use super::report::Rule;

/// Defines the rules, and the list of them that the test reads.
macro_rules! rules {
    ($($name:ident: $section:literal, $text:literal;)*) => {
        $(pub(super) const $name: Rule = Rule { text: $text, section: $section };)*

        #[cfg(test)]
        const ALL: &[Rule] = &[$($name),*];
    };
}

rules! {
    HELLO_FIRST: "Hello and welcome",
        "a worker sends its hello as the first message, within 10 s, without waiting for the node";
    HELLO_VALID: "Hello and welcome",
        "a hello names 1 to 10 000 services with valid declarations, and known capabilities";
    ONE_HELLO: "Hello and welcome", "a worker sends one hello";
    SELECTED: "Checklist", "`--service` names a service of the worker";
    ANSWERED: "Dispatches and results", "each dispatch is answered with one result or failure";
    TOKEN: "Dispatches and results", "a result carries the token of its dispatch";
    OUTPUT: "Dispatches and results",
        "a result has an outcome: a response that matches the declaration, or a failure with a code";
    STREAM_STAYS: "The end of a stream", "a worker keeps its stream open until it has drained, or the node ends it";
    IGNORED: "Hello and welcome", "a worker ignores messages that it does not know, and messages without content";
    CREDIT: "Credit", "a worker accepts `max_in_flight` dispatches at the same time";
    OVERDUE: "Cancellation", "a dispatch whose deadline has passed is still answered: it uses a credit until then";
    CANCEL: "Cancellation", "a cancelled dispatch is answered within the grace period";
    MESSAGE_BYTES: "Limits", "a worker accepts messages of up to `max_message_bytes`";
    BATCHES: "Batching", "a worker with CAPABILITY_BATCHING accepts `dispatches`";
    REPETITION: "Resume", "a dispatch whose token the worker has already is a repetition: it is ignored";
    RECONNECT: "Reconnecting", "a worker whose stream ends connects again, within the lease";
    BACKOFF: "Reconnecting",
        "a worker waits before each attempt to connect: 100 ms, doubled up to a few seconds, at random";
    RESUME_HELLO: "Resume",
        "a worker that resumes sends its session, and the tokens of dispatches that run or are not acknowledged";
    SAME_HELLO: "Resume", "a hello that resumes a session announces the same services, capabilities and limits";
    RESEND: "Resume", "after a resume, a worker sends every result again that no `received` has named";
    FORGET: "Resume", "a worker removes results that `received` names, and dispatches that `welcome` does not list";
    FRESH: "Resume", "a worker whose resume is refused connects again without `session` and `tokens`";
    NEW_SESSION: "Resume", "a welcome may contain another session, which replaces the one before";
    DRAIN: "Drain", "after the node's `drain`, a worker finishes its dispatches on that stream";
    PING: "Keep-alive", "a worker answers HTTP/2 PINGs within 10 s, also while its handlers run";
}

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
        for rule in ALL {
            assert!(headings.contains(&rule.section), "{}", rule.section);
        }
    }
}
