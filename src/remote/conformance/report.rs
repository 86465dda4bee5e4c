//! The report of a conformance run: one verdict for each check.

/// A rule of the worker protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// What the protocol says.
    pub(crate) text: &'static str,
    /// The section of `docs/worker-protocol.md` that says it.
    pub(crate) section: &'static str,
}

/// A rule that the worker broke.
#[derive(Debug)]
pub(crate) struct Fault {
    /// What was seen.
    pub(crate) seen: String,
    pub(crate) rule: Rule,
}

/// The verdict of one check.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The worker keeps the rules. The note, where there is one, says what was seen.
    Passed(Option<String>),
    /// The worker broke a rule.
    Failed(Fault),
    /// The check does not apply, or could not be made; this says why.
    LeftOut(String),
}

/// One check and its verdict.
#[derive(Debug)]
pub(crate) struct CheckReport {
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
}

/// The longest text of a worker in a report, in characters.
const MAX_SHOWN_CHARS: usize = 200;

/// Text that a worker sent, on one line, without control characters, and cut off where it is long.
fn one_line(text: &str) -> String {
    let mut shown = String::new();
    let words = text.split(|c: char| c.is_control() || c.is_whitespace());
    for word in words.filter(|word| !word.is_empty()) {
        if !shown.is_empty() {
            shown.push(' ');
        }
        shown.push_str(word);
    }
    match shown.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", shown.get(..end).unwrap_or_default()),
        None => shown,
    }
}

/// Why a check ends early.
#[derive(Debug)]
pub(super) enum Stop {
    Fault(Fault),
    LeftOut(String),
}

/// What a check returns: a note, or why it ended early.
pub(super) type CheckResult = Result<Option<String>, Stop>;

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<CheckResult> for Verdict {
    fn from(result: CheckResult) -> Self {
        match result {
            Ok(note) => Self::Passed(note.as_deref().map(one_line)),
            Err(Stop::Fault(fault)) => Self::Failed(fault),
            Err(Stop::LeftOut(why)) => Self::LeftOut(why),
        }
    }
}

impl Rule {
    /// A fault: the rule, and what was seen instead.
    pub(super) fn broken(self, seen: impl Into<String>) -> Fault {
        let seen = one_line(&seen.into());
        Fault { seen, rule: self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_worker_takes_one_line_of_a_report() {
        assert_eq!(one_line("a\n\tb \x1b[31mc\x07"), "a b [31mc");
        assert_eq!(
            one_line(&"é".repeat(300)).chars().count(),
            MAX_SHOWN_CHARS + 1
        );
    }
}
