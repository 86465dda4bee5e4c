//! Messages for texts that are not JSON: what was expected, in place of the parser's own messages.

/// What may follow at the position of a syntax error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// The value of the text.
    Value,
    /// In a list.
    Item,
    /// In a dict, where no key is open.
    Key,
    /// In a dict, after a key.
    ValueOfKey,
    /// Nothing: the value is complete.
    End,
}

/// Explains a syntax error between `before` and `rest`. `message` is that of the parser.
pub(super) fn explain(message: &str, before: &[u8], rest: &[u8], expected: Expected) -> String {
    if let Some(text) = inside_token(message, rest) {
        return text.to_owned();
    }
    let text = expected.text(before);
    match rest.trim_ascii_start() {
        [] => format!("unexpected end: {text}"),
        _ => text.to_owned(),
    }
}

/// Errors within a string or a number, and trailing commas.
fn inside_token(message: &str, rest: &[u8]) -> Option<&'static str> {
    Some(match message {
        _ if message.starts_with("Unexpected end of file") && rest.starts_with(b"\"") => {
            "unterminated string"
        }
        _ if message.starts_with("Trailing commas") => "trailing commas are not allowed",
        _ if message.starts_with("Invalid UTF-8") => "the text is not valid UTF-8",
        _ if message.starts_with("A number") => "invalid number",
        _ if message.contains("not allowed in JSON strings") => {
            "control characters in a string must be escaped"
        }
        _ if message.contains("escape") || message.contains("surrogate") => {
            "invalid escape in a string"
        }
        _ => return None,
    })
}

impl Expected {
    fn text(self, before: &[u8]) -> &'static str {
        match (self, before.trim_ascii_end().last()) {
            (Self::End, _) => "unexpected text after the JSON value",
            (Self::Value, _) | (Self::ValueOfKey, Some(b':')) => "expected a value",
            (Self::ValueOfKey, _) => "expected `:`",
            (Self::Key, Some(b'{' | b',')) => "expected a double-quoted key",
            (Self::Key, _) => "expected `,` or `}`",
            (Self::Item, Some(b'[')) => "expected a value or `]`",
            (Self::Item, Some(b',')) => "expected a value",
            (Self::Item, _) => "expected `,` or `]`",
        }
    }
}
