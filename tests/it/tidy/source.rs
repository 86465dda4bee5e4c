//! A reader of the crate's own source, as far as its modules and paths go: tokens, `use` trees, defined items.

use std::collections::{BTreeMap, BTreeSet};

/// A piece of code with the line that it begins in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

/// A path of the source, such as `crate::model::id::Cid`, with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
}

/// A name that a `use` declaration brings into a module.
#[derive(Clone, Debug)]
pub(super) struct Import {
    /// The name in this module: the last segment, or the one after `as`.
    pub(super) name: String,
    pub(super) path: Reference,
    /// Whether the declaration is a re-export (`pub use`, `pub(crate) use`).
    pub(super) is_public: bool,
}

/// What the checks need to know of one file.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// The names of `mod` declarations without a body.
    pub(super) modules: BTreeSet<String>,
    /// The names of items that the file itself defines.
    pub(super) items: BTreeSet<String>,
    /// The names of macros that the file exports to the root of the crate.
    pub(super) exported_macros: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    /// Paths with at least two segments, outside of `use` declarations.
    pub(super) paths: Vec<Reference>,
    /// All identifiers outside of `use` declarations, with the first line of each.
    pub(super) words: BTreeMap<String, usize>,
}

/// Splits code into identifiers, `::` and single characters; leaves out comments, literals and lifetimes.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let mut tokens = Vec::new();
    let (mut i, mut line) = (0, 1);
    while i < chars.len() {
        let begin = i;
        let c = at(i);
        if c == '/' && at(i + 1) == '/' {
            while i < chars.len() && at(i) != '\n' {
                i += 1;
            }
        } else if c == '/' && at(i + 1) == '*' {
            while i < chars.len() && !(at(i) == '*' && at(i + 1) == '/') {
                i += 1;
            }
            i += 2;
        } else if let Some(end) = raw_string_end(&chars, i) {
            i = end;
        } else if c == '"' {
            i += 1;
            while i < chars.len() && at(i) != '"' {
                i += if at(i) == '\\' { 2 } else { 1 };
            }
            i += 1;
        } else if c == '\'' {
            // A character literal ends with a quote; a lifetime does not.
            i += match (at(i + 1), at(i + 2)) {
                ('\\', _) => chars[i + 3..]
                    .iter()
                    .position(|c| *c == '\'')
                    .map_or(3, |n| n + 4),
                (_, '\'') => 3,
                _ => {
                    1 + chars[i + 1..]
                        .iter()
                        .take_while(|c| c.is_alphanumeric() || **c == '_')
                        .count()
                }
            };
        } else if c.is_alphanumeric() || c == '_' {
            while at(i).is_alphanumeric() || at(i) == '_' {
                i += 1;
            }
            let text = chars[begin..i].iter().collect();
            tokens.push(Token { text, line });
        } else {
            i += if c == ':' && at(i + 1) == ':' { 2 } else { 1 };
            if !c.is_whitespace() {
                let text = chars[begin..i].iter().collect();
                tokens.push(Token { text, line });
            }
        }
        line += chars[begin..i.min(chars.len())]
            .iter()
            .filter(|c| **c == '\n')
            .count();
    }
    tokens
}

/// The end of a raw string that begins at `start`, if one does.
fn raw_string_end(chars: &[char], start: usize) -> Option<usize> {
    let preceded = start.checked_sub(1).map(|before| chars[before]);
    if preceded.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return None;
    }
    let mut i = start + usize::from(chars[start] == 'b');
    if chars.get(i) != Some(&'r') {
        return None;
    }
    i += 1;
    let hashes = chars[i..].iter().take_while(|c| **c == '#').count();
    i += hashes;
    if chars.get(i) != Some(&'"') {
        return None;
    }
    i += 1;
    let end: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let length = chars[i..]
        .windows(end.len())
        .position(|window| window == end)?;
    Some(i + length + end.len())
}

/// Drops inline `#[cfg(test)] mod tests { .. }`: what only tests use is no dependency of the module.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    const BEGIN: [&str; 8] = ["#", "[", "cfg", "(", "test", ")", "]", "mod"];
    let mut kept = Vec::with_capacity(tokens.len());
    let mut i = 0;
    while i < tokens.len() {
        let window = tokens[i..]
            .iter()
            .take(BEGIN.len())
            .map(|token| token.text.as_str());
        if !window.eq(BEGIN) {
            kept.push(tokens[i].clone());
            i += 1;
            continue;
        }
        // The name, then a semicolon or a body.
        i += BEGIN.len() + 1;
        if tokens.get(i).is_some_and(|token| token.text == "{") {
            i = body_end(tokens, i);
        } else {
            i += 1;
        }
    }
    kept
}

/// The index after the bracket that closes the one at `open`.
fn body_end(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// Without the scope of `pub(in path)`: a visibility is no use of the module that it names.
fn without_scopes(tokens: &[Token]) -> Vec<Token> {
    let mut kept: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut rest = tokens.iter();
    while let Some(token) = rest.next() {
        let follows_pub = matches!(kept.as_slice(), [.., a, b] if a.text == "pub" && b.text == "(");
        if token.text == "in" && follows_pub {
            let close = rest.find(|token| token.text == ")");
            kept.extend(close.cloned());
        } else {
            kept.push(token.clone());
        }
    }
    kept
}

impl Source {
    pub(super) fn parse(text: &str) -> Self {
        let tokens = without_scopes(&without_tests(&tokens(text)));
        let mut source = Self::default();
        let (mut i, mut depth) = (0, 0_usize);
        while i < tokens.len() {
            match tokens[i].text.as_str() {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                "mod" => {
                    source.item(&tokens, i);
                    i += 2;
                    continue;
                }
                "use" => {
                    let is_public = i > 0 && matches!(tokens[i - 1].text.as_str(), "pub" | ")");
                    i = source.imports_from(&tokens, i + 1, &[], is_public);
                    continue;
                }
                _ if depth == 0 => source.item(&tokens, i),
                _ => {}
            }
            i = source.word_or_path(&tokens, i);
        }
        source
    }

    /// Notes the item that is defined where `index` has its keyword.
    fn item(&mut self, tokens: &[Token], index: usize) {
        let text = |offset: usize| tokens.get(index + offset).map_or("", |token| &token.text);
        let keyword = text(0);
        let name = text(1).to_owned();
        if keyword == "mod" && text(2) == ";" {
            self.modules.insert(name);
        } else if keyword == "macro_rules" {
            let exported = tokens[..index]
                .iter()
                .rev()
                .take(2)
                .any(|t| t.text == "macro_export");
            let macros = if exported {
                &mut self.exported_macros
            } else {
                &mut self.items
            };
            macros.insert(text(2).to_owned());
        } else if [
            "struct", "enum", "trait", "fn", "type", "const", "static", "union",
        ]
        .contains(&keyword)
        {
            self.items.insert(name);
        }
    }

    /// Reads one `use` tree; answers the index after it.
    fn imports_from(
        &mut self,
        tokens: &[Token],
        start: usize,
        prefix: &[String],
        is_public: bool,
    ) -> usize {
        let mut segments = prefix.to_vec();
        let mut i = start;
        let line = tokens.get(start).map_or(0, |token| token.line);
        while let Some(token) = tokens.get(i) {
            match token.text.as_str() {
                "::" => i += 1,
                "{" => {
                    i += 1;
                    while tokens.get(i).is_some_and(|token| token.text != "}") {
                        i = self.imports_from(tokens, i, &segments, is_public);
                        if tokens.get(i).is_some_and(|token| token.text == ",") {
                            i += 1;
                        }
                    }
                    i += 1;
                    return i + usize::from(tokens.get(i).is_some_and(|token| token.text == ";"));
                }
                "as" => {
                    let name = tokens
                        .get(i + 1)
                        .map_or_else(String::new, |token| token.text.clone());
                    i += 2;
                    self.import(name, segments.clone(), line, is_public);
                    segments.clear();
                }
                "," | "}" | ";" => {
                    let ended = token.text == ";";
                    if let Some(name) = segments.last().cloned() {
                        self.import(name, segments, line, is_public);
                    }
                    return i + usize::from(ended);
                }
                _ => {
                    segments.push(token.text.clone());
                    i += 1;
                }
            }
        }
        i
    }

    fn import(&mut self, name: String, mut segments: Vec<String>, line: usize, is_public: bool) {
        let mut name = name;
        if name == "self" {
            // `use a::b::{self}` brings `b` in.
            segments.pop();
            name = segments.last().cloned().unwrap_or_default();
        }
        let path = Reference { segments, line };
        self.imports.push(Import {
            name,
            path,
            is_public,
        });
    }

    /// Reads an identifier or a path; answers the index after it.
    fn word_or_path(&mut self, tokens: &[Token], start: usize) -> usize {
        let is_word = |index: usize| {
            tokens.get(index).is_some_and(|token| {
                token
                    .text
                    .starts_with(|c: char| c.is_alphabetic() || c == '_')
            })
        };
        if !is_word(start) {
            return start + 1;
        }
        let line = tokens[start].line;
        let mut segments = vec![tokens[start].text.clone()];
        let mut i = start + 1;
        while tokens.get(i).is_some_and(|token| token.text == "::") && is_word(i + 1) {
            segments.push(tokens[i + 1].text.clone());
            i += 2;
        }
        self.words.entry(segments[0].clone()).or_insert(line);
        if segments.len() > 1 {
            self.paths.push(Reference { segments, line });
        }
        i
    }
}
