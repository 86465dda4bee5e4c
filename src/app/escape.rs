//! Escapes of control characters: what a caller or a worker names must neither control a terminal nor forge a line of
//! a log.

use std::borrow::Cow;
use std::fmt;

/// Whether a terminal may act on a character, or show other characters in another order because of it: C0, DEL, C1,
/// the Unicode separators of lines and paragraphs, and the controls of text direction.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Escapes all control characters of a text that is shown on one line: `\n`, `\u{1b}`.
pub(super) fn line(text: &str) -> Cow<'_, str> {
    escape(text, is_control, |escaped, c| {
        escaped.extend(c.escape_default())
    })
}

/// Escapes all control characters of a text that is shown on several lines, except line ends and tabs. The line ends
/// of CSV, `\r\n`, become `\n`.
pub(super) fn lines(text: &str) -> Cow<'_, str> {
    match text.contains("\r\n") {
        true => Cow::Owned(plain_lines(&text.replace("\r\n", "\n")).into_owned()),
        false => plain_lines(text),
    }
}

fn plain_lines(text: &str) -> Cow<'_, str> {
    let is_control = |c| is_control(c) && c != '\n' && c != '\t';
    escape(text, is_control, |escaped, c| {
        escaped.extend(c.escape_default())
    })
}

/// As [`lines`], with all lines but the first indented: they cannot be taken for other output.
pub(super) fn indented(text: &str, width: usize) -> String {
    let end = format!("\n{:width$}", "");
    lines(text).trim_end_matches('\n').replace('\n', &end)
}

/// Escapes the control characters of a JSON text in the syntax of JSON: it keeps its meaning. Line ends stay: a valid
/// text has them only between its values.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    let is_control = |c| is_control(c) && c != '\n';
    escape(text, is_control, |escaped, c| {
        // All control characters are in the first plane.
        escaped.push_str(&format!("\\u{:04x}", u32::from(c)));
    })
}

fn escape(
    text: &str,
    is_escaped: impl Fn(char) -> bool,
    push: impl Fn(&mut String, char),
) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_escaped(c) {
            true => push(&mut escaped, c),
            false => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// Escapes all that is written through it, as [`line`] does.
pub(super) struct EscapeWriter<W>(pub(super) W);

impl<W: fmt::Write> fmt::Write for EscapeWriter<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(&line(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        for (text, expected) in [
            (
                "plain, ünïcode, 漢字 \u{1f600}",
                "plain, ünïcode, 漢字 \u{1f600}",
            ),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{1b}[2J\u{7}", "\\u{1b}[2J\\u{7}"),
            ("\u{7f}\u{9b}\u{0}", "\\u{7f}\\u{9b}\\u{0}"),
            ("\u{2028}\u{2029}\u{202e}", "\\u{2028}\\u{2029}\\u{202e}"),
            ("\u{2066}\u{2069}\u{200f}", "\\u{2066}\\u{2069}\\u{200f}"),
        ] {
            assert_eq!(line(text), expected);
        }
    }

    #[test]
    fn several_lines_keep_their_ends() {
        assert_eq!(lines("a\n\tb\u{1b}\n"), "a\n\tb\\u{1b}\n");
        assert_eq!(lines("a,b\r\n\u{1b},2\r\n"), "a,b\n\\u{1b},2\n");
        // Alone it would overwrite the line.
        assert_eq!(lines("a\rb\r\r\n"), "a\\rb\\r\n");
        assert_eq!(indented("a\nb\u{1b}\n", 2), "a\n  b\\u{1b}");
    }

    #[test]
    fn escaped_json_is_the_same_value() {
        let text = serde_json::to_string_pretty(&["\u{9b}\u{202e}\u{7f}\n\u{1b}"]).unwrap();
        let escaped = json(&text);
        assert!(escaped.chars().all(|c| c == '\n' || !is_control(c)));
        let values = [&text, &*escaped].map(|text| serde_json::from_str(text).unwrap());
        let [value, same]: [serde_json::Value; 2] = values;
        assert_eq!(value, same);
    }

    #[test]
    fn a_writer_escapes_as_it_writes() {
        use fmt::Write as _;
        let mut text = String::new();
        write!(EscapeWriter(&mut text), "{}-{:?}", "a\n".trim_start(), 1).unwrap();
        assert_eq!(text, "a\\n-1");
    }
}
