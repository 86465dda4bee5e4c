//! The grammar: terms that are joined by `AND`, each with a field, an operator and a value or several.

use super::fault::Fault;
use super::lexer::{Kind, Token, tokens};

/// How deeply parentheses nest.
const MAX_DEPTH: usize = 16;

/// A criterion, not interpreted yet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Term {
    /// Where it begins.
    pub(super) at: usize,
    pub(super) field: String,
    /// The key in `metadata.key`.
    pub(super) key: Option<String>,
    pub(super) operator: &'static str,
    pub(super) operator_at: usize,
    /// One, or several that are joined by `OR`.
    pub(super) values: Vec<Value>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) at: usize,
    pub(super) text: String,
}

/// The terms of a text.
pub(super) fn terms(text: &str) -> Result<Vec<Term>, Fault> {
    let mut parser = Parser {
        tokens: tokens(text)?.into_iter().peekable(),
        end: text.len(),
        terms: Vec::new(),
    };
    if parser.tokens.peek().is_some() {
        parser.conjunction(0)?;
    }
    match parser.tokens.next() {
        Some(close) => Err(Fault::malformed(close.at, "`)` closes nothing")),
        None => Ok(parser.terms),
    }
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    /// Where the text ends.
    end: usize,
    terms: Vec<Term>,
}

impl Parser {
    /// `term AND term …`, up to the end or a closing parenthesis.
    fn conjunction(&mut self, depth: usize) -> Result<(), Fault> {
        loop {
            self.term(depth)?;
            let Some(token) = self.tokens.peek() else {
                return Ok(());
            };
            let at = token.at;
            match &token.kind {
                Kind::Close => return Ok(()),
                Kind::Word(word) if word == "AND" => drop(self.tokens.next()),
                Kind::Word(word) if word == "OR" => {
                    let message = "`OR` joins values of one field only, such as `state = (FAILED OR CANCELLED)`; \
                                   criteria are joined by `AND`";
                    return Err(Fault::malformed(at, message));
                }
                Kind::Word(word) if is_keyword(&word.to_uppercase()) => {
                    let message = format!("`{word}` is written `{}`", word.to_uppercase());
                    return Err(Fault::malformed(at, message));
                }
                Kind::Operator(":") => {
                    let message =
                        "expected `AND`: a value with `:`, such as a time, is written in quotes";
                    return Err(Fault::malformed(at, message));
                }
                _ => return Err(Fault::malformed(at, "expected `AND`")),
            }
        }
    }

    /// A criterion, or several in parentheses.
    fn term(&mut self, depth: usize) -> Result<(), Fault> {
        let (at, name) = match self.tokens.next() {
            Some(Token {
                at,
                kind: Kind::Open,
            }) => {
                if depth == MAX_DEPTH {
                    let message = format!("parentheses nest at most {MAX_DEPTH} deep");
                    return Err(Fault::new(at, "TOO_DEEP", message));
                }
                self.conjunction(depth + 1)?;
                return self.close(at);
            }
            Some(Token {
                at,
                kind: Kind::Word(name),
            }) => (at, name),
            other => {
                let at = other.map_or(self.end, |token| token.at);
                return Err(Fault::malformed(
                    at,
                    "expected a criterion, such as `state = FAILED`",
                ));
            }
        };
        if name == "NOT" || name.starts_with('-') {
            return Err(Fault::malformed(at, "`NOT` and `-` are not supported"));
        }
        let (field, key) = self.field(name);
        let (operator_at, operator) = self.operator(&field)?;
        let values = self.values(operator)?;
        self.terms.push(Term {
            at,
            field,
            key,
            operator,
            operator_at,
            values,
        });
        Ok(())
    }

    /// The name of a field, and the key in `metadata.key` or `metadata."key"`.
    fn field(&mut self, name: String) -> (String, Option<String>) {
        let Some(("metadata", key)) = name.split_once('.') else {
            return (name, None);
        };
        let mut key = key.to_owned();
        if key.is_empty()
            && let Some(Token {
                kind: Kind::Text(quoted),
                ..
            }) = self
                .tokens
                .next_if(|token| matches!(token.kind, Kind::Text(_)))
        {
            key = quoted;
        }
        ("metadata".to_owned(), Some(key))
    }

    fn operator(&mut self, field: &str) -> Result<(usize, &'static str), Fault> {
        match self.tokens.next() {
            Some(Token {
                at,
                kind: Kind::Operator(operator),
            }) => Ok((at, operator)),
            Some(Token {
                at,
                kind: Kind::Open,
            }) => Err(Fault::malformed(at, "functions are not supported")),
            other => {
                let at = other.map_or(self.end, |token| token.at);
                let message = format!("expected an operator after `{field}`, such as `=`");
                Err(Fault::malformed(at, message))
            }
        }
    }

    /// A value, or `(value OR value …)`.
    fn values(&mut self, operator: &str) -> Result<Vec<Value>, Fault> {
        let open = self.tokens.next_if(|token| token.kind == Kind::Open);
        let Some(open) = open else {
            return Ok(vec![self.value(operator)?]);
        };
        let mut values = vec![self.value("(")?];
        while self
            .tokens
            .next_if(|token| token.kind == Kind::Word("OR".to_owned()))
            .is_some()
        {
            values.push(self.value("OR")?);
        }
        self.close(open.at)?;
        Ok(values)
    }

    fn value(&mut self, after: &str) -> Result<Value, Fault> {
        match self.tokens.next() {
            Some(Token {
                at,
                kind: Kind::Text(text),
            }) => Ok(Value { at, text }),
            Some(Token {
                at,
                kind: Kind::Word(text),
            }) if !is_keyword(&text) => Ok(Value { at, text }),
            other => {
                let at = other.map_or(self.end, |token| token.at);
                let message = format!("expected a value after `{after}`");
                Err(Fault::malformed(at, message))
            }
        }
    }

    /// The closing parenthesis of the one at `open`.
    fn close(&mut self, open: usize) -> Result<(), Fault> {
        match self.tokens.next() {
            Some(Token {
                kind: Kind::Close, ..
            }) => Ok(()),
            Some(other) => {
                let message = "expected `)`: values are joined by `OR`";
                Err(Fault::malformed(other.at, message))
            }
            None => Err(Fault::malformed(open, "the closing `)` is missing")),
        }
    }
}

fn is_keyword(word: &str) -> bool {
    ["AND", "OR", "NOT"].contains(&word)
}
