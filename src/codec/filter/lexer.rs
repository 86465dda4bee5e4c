//! Splits a filter into words, quoted texts, operators and parentheses.

use super::fault::Fault;

/// A token, and the byte at which it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name, a keyword or a value without quotes.
    Word(String),
    /// A value in quotes.
    Text(String),
    Operator(&'static str),
    Open,
    Close,
}

/// The longer ones first.
const OPERATORS: [&str; 7] = ["<=", ">=", "!=", "=", "<", ">", ":"];

/// All tokens of a text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(rest) = text.get(at..)
        && let Some(first) = rest.chars().next()
    {
        let operator = OPERATORS.iter().find(|one| rest.starts_with(**one));
        let (kind, length) = match (first, operator) {
            _ if first.is_whitespace() => {
                at += first.len_utf8();
                continue;
            }
            ('(', _) => (Kind::Open, 1),
            (')', _) => (Kind::Close, 1),
            ('"' | '\'', _) => {
                let (value, length) = quoted(rest, first).map_err(|(offset, message)| {
                    Fault::malformed(at.saturating_add(offset), message)
                })?;
                (Kind::Text(value), length)
            }
            (',', _) => {
                let message = "`,`: several values are written `(a OR b)`";
                return Err(Fault::malformed(at, message));
            }
            (_, Some(operator)) => (Kind::Operator(operator), operator.len()),
            ('!', None) => return Err(Fault::malformed(at, "`!` is not an operator")),
            (_, None) => {
                let word = rest.split(ends_word).next().unwrap_or_default();
                (Kind::Word(word.to_owned()), word.len())
            }
        };
        tokens.push(Token { at, kind });
        at += length;
    }
    Ok(tokens)
}

fn ends_word(c: char) -> bool {
    c.is_whitespace() || "\"'()=<>!:,".contains(c)
}

/// The text that begins with a quote, and how many bytes it takes with its quotes. The error: where it is, and what.
fn quoted(rest: &str, quote: char) -> Result<(String, usize), (usize, String)> {
    let (mut value, mut chars) = (String::new(), rest.char_indices().skip(1));
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some((_, c @ ('\\' | '"' | '\''))) => value.push(c),
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                _ => {
                    let known = r#"`\\`, `\"`, `\'`, `\n` and `\t`"#;
                    return Err((at, format!("unknown escape: the escapes are {known}")));
                }
            },
            c if c == quote => return Ok((value, at + c.len_utf8())),
            c => value.push(c),
        }
    }
    Err((0, format!("the closing `{quote}` is missing")))
}
