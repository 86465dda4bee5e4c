//! Reads JSON texts that are valid, at a fraction of the cost of the parser that tells where a text is not.
//!
//! What it reads, that parser reads as the same value. It gives up on everything else: on what is not valid or exceeds
//! a limit, and on what is rare, which are byte order marks and escaped surrogates.

use std::borrow::Cow;

use crate::codec::limits::MAX_KEYS;
use crate::model::value::{Dict, Key, Value};

/// How many keys of one dict are compared one by one, where no value is made of it.
const MAX_COMPARED_KEYS: usize = 32;

/// Reads a text that is nested up to `max_depth` dicts and lists deep; `None` where it gives up.
pub(super) fn read(text: &[u8], max_depth: usize) -> Option<Value> {
    Reader::new(text)?.whole(max_depth)
}

/// Whether [`read`] would read a text, but for dicts with many keys. It makes no value of it.
pub(super) fn is_valid(text: &[u8], max_depth: usize) -> bool {
    let reader = Reader::new(text);
    reader.is_some_and(|mut reader| reader.whole::<Checked>(max_depth).is_some())
}

/// What is made of a text.
trait Target<'a>: Sized {
    type Dict: Default;
    type List: Default;

    fn null() -> Self;
    fn bool(flag: bool) -> Self;
    /// `None` where it is no number.
    fn number(text: &str) -> Option<Self>;
    fn text(text: Cow<'a, str>) -> Self;
    fn dict(dict: Self::Dict) -> Self;
    fn list(items: Self::List) -> Self;
    /// `None` where the dict has the key, or too many.
    fn insert(dict: &mut Self::Dict, key: Cow<'a, str>, value: Self) -> Option<()>;
    fn push(items: &mut Self::List, item: Self);
}

impl Target<'_> for Value {
    type Dict = Dict;
    type List = Vec<Self>;

    fn null() -> Self {
        Self::Null
    }

    fn bool(flag: bool) -> Self {
        Self::Bool(flag)
    }

    fn number(text: &str) -> Option<Self> {
        Self::number(text)
    }

    fn text(text: Cow<'_, str>) -> Self {
        Self::Text(text.into_owned())
    }

    fn dict(dict: Dict) -> Self {
        Self::Dict(dict)
    }

    fn list(items: Vec<Self>) -> Self {
        Self::List(items)
    }

    fn insert(dict: &mut Dict, key: Cow<'_, str>, value: Self) -> Option<()> {
        let key = match key {
            Cow::Borrowed(key) => Key::from(key),
            Cow::Owned(key) => Key::from(key),
        };
        dict.insert(key, value).is_none().then_some(())
    }

    fn push(items: &mut Vec<Self>, item: Self) {
        items.push(item);
    }
}

/// Nothing: the text is valid.
struct Checked;

impl<'a> Target<'a> for Checked {
    /// The keys.
    type Dict = Vec<Cow<'a, str>>;
    type List = ();

    fn null() -> Self {
        Self
    }

    fn bool(_: bool) -> Self {
        Self
    }

    fn number(text: &str) -> Option<Self> {
        Value::is_number(text).then_some(Self)
    }

    fn text(_: Cow<'a, str>) -> Self {
        Self
    }

    fn dict(_: Self::Dict) -> Self {
        Self
    }

    fn list((): ()) -> Self {
        Self
    }

    fn insert(keys: &mut Self::Dict, key: Cow<'a, str>, _: Self) -> Option<()> {
        if keys.len() == MAX_COMPARED_KEYS || keys.contains(&key) {
            return None;
        }
        keys.push(key);
        Some(())
    }

    fn push((): &mut (), _: Self) {}
}

struct Reader<'a> {
    text: &'a str,
    /// How much of it was read: always at the border of a character.
    at: usize,
    /// How many keys and items there may still be.
    room: usize,
}

impl<'a> Reader<'a> {
    fn new(text: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        Some(Self {
            text,
            at: 0,
            room: MAX_KEYS,
        })
    }

    /// The value of the whole text.
    fn whole<T: Target<'a>>(&mut self, max_depth: usize) -> Option<T> {
        let first = self.next_token()?;
        let value = self.value(first, max_depth)?;
        self.skip_space();
        (self.at == self.text.len()).then_some(value)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// The first byte of what follows after white space, which is read.
    fn next_token(&mut self) -> Option<u8> {
        self.skip_space();
        let byte = self.peek().filter(u8::is_ascii)?;
        self.at += 1;
        Some(byte)
    }

    /// The value that begins with `first`, which was read. It has `depth` more dicts and lists in each other at most.
    fn value<T: Target<'a>>(&mut self, first: u8, depth: usize) -> Option<T> {
        let value = match first {
            b'"' => T::text(self.string()?),
            b'{' => self.dict(depth.checked_sub(1)?)?,
            b'[' => self.list(depth.checked_sub(1)?)?,
            b't' => self.word("rue", T::bool(true))?,
            b'f' => self.word("alse", T::bool(false))?,
            b'n' => self.word("ull", T::null())?,
            b'-' | b'0'..=b'9' => self.number()?,
            _ => return None,
        };
        self.room = self.room.checked_sub(1)?;
        Some(value)
    }

    fn dict<T: Target<'a>>(&mut self, depth: usize) -> Option<T> {
        let mut dict = T::Dict::default();
        let mut token = self.next_token()?;
        if token == b'}' {
            return Some(T::dict(dict));
        }
        loop {
            if token != b'"' {
                return None;
            }
            let key = self.string()?;
            if self.next_token()? != b':' {
                return None;
            }
            let first = self.next_token()?;
            let value = self.value(first, depth)?;
            T::insert(&mut dict, key, value)?;
            match self.next_token()? {
                b',' => token = self.next_token()?,
                b'}' => return Some(T::dict(dict)),
                _ => return None,
            }
        }
    }

    fn list<T: Target<'a>>(&mut self, depth: usize) -> Option<T> {
        let mut items = T::List::default();
        let mut first = self.next_token()?;
        if first == b']' {
            return Some(T::list(items));
        }
        loop {
            let item = self.value(first, depth)?;
            T::push(&mut items, item);
            match self.next_token()? {
                b',' => first = self.next_token()?,
                b']' => return Some(T::list(items)),
                _ => return None,
            }
        }
    }

    /// The rest of `true`, `false` or `null`.
    fn word<T>(&mut self, rest: &str, value: T) -> Option<T> {
        let is_word = self.text.get(self.at..)?.starts_with(rest);
        self.at += rest.len();
        is_word.then_some(value)
    }

    /// A number whose first byte was read.
    fn number<T: Target<'a>>(&mut self) -> Option<T> {
        let begin = self.at - 1;
        while let Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') = self.peek() {
            self.at += 1;
        }
        T::number(self.text.get(begin..self.at)?)
    }

    /// A string whose first quote was read.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        let run = self.run()?;
        if self.peek()? == b'"' {
            self.at += 1;
            return Some(Cow::Borrowed(run));
        }
        let mut text = run.to_owned();
        loop {
            let end = self.peek()?;
            self.at += 1;
            match end {
                b'"' => return Some(Cow::Owned(text)),
                b'\\' => text.push(self.escaped()?),
                _ => return None,
            }
            text.push_str(self.run()?);
        }
    }

    /// The characters up to a quote, a backslash, or what must be escaped.
    fn run(&mut self) -> Option<&'a str> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
        let end = self.at + rest.iter().position(is_end)?;
        let run = self.text.get(self.at..end);
        self.at = end;
        run
    }

    /// The character that stands for an escape, after its backslash.
    fn escaped(&mut self) -> Option<char> {
        let kind = self.peek().filter(u8::is_ascii)?;
        self.at += 1;
        Some(match kind {
            b'"' | b'\\' | b'/' => kind.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let digits = self.text.get(self.at..self.at + 4)?;
                if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return None;
                }
                self.at += 4;
                char::from_u32(u32::from_str_radix(digits, 16).ok()?)?
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::json::read_any;
    use crate::codec::limits::MAX_DEPTH;

    /// All of them are read.
    const TEXTS: [&str; 6] = [
        r#" { "id" : 12 , "name":"Alexis \"x\" \\ \/ \b\f\n\r\t é \u00e9\u20AC" , "é":true,"":null}"#,
        r#"[[],{},[{"a":[1,-0,-0.0,0.5,1e5,1E+05,1.25e-7,123456789012345678901234567890]}],false]"#,
        "\t\r\n\"text\"\n",
        "-9007199254740993",
        "0.1234567890123456789",
        r#"{"a":{"a":{"b":1,"a":2}},"b":[{"a":1},{"a":1}]}"#,
    ];

    /// Whatever is read is what the other parser reads.
    fn check(text: &[u8]) {
        let is_valid = is_valid(text, MAX_DEPTH);
        let value = read(text, MAX_DEPTH);
        let shown = String::from_utf8_lossy(text);
        assert_eq!(is_valid, value.is_some(), "{shown}");
        if let Some(value) = value {
            let read = read_any(text, MAX_DEPTH).expect(&shown);
            // Equality ignores the order of keys.
            assert_eq!(format!("{value:?}"), format!("{read:?}"), "{shown}");
        }
    }

    #[test]
    fn valid_texts_are_read() {
        for text in TEXTS {
            check(text.as_bytes());
            assert!(is_valid(text.as_bytes(), MAX_DEPTH), "{text}");
        }
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(is_valid(nested(MAX_DEPTH).as_bytes(), MAX_DEPTH));
        assert!(!is_valid(nested(MAX_DEPTH + 1).as_bytes(), MAX_DEPTH));
        let items = |count| format!("[{}1]", "1,".repeat(count - 1));
        // The list counts too.
        assert!(is_valid(items(MAX_KEYS - 1).as_bytes(), MAX_DEPTH));
        assert!(!is_valid(items(MAX_KEYS).as_bytes(), MAX_DEPTH));
    }

    #[test]
    fn a_text_that_is_changed_in_one_place_is_read_as_the_other_parser_reads_it() {
        let others = b"\"\\{}[],:-+.eEau01 \n\x00\x1f\x7f\xc3\xa9\xff";
        for text in TEXTS.map(str::as_bytes) {
            for at in 0..text.len() {
                check(&text[..at]);
                check(&[&text[..at], &text[at + 1..]].concat());
                for other in others {
                    let mut changed = text.to_vec();
                    changed[at] = *other;
                    check(&changed);
                    changed.insert(at, text[at]);
                    check(&changed);
                }
            }
        }
    }

    #[test]
    fn what_is_rare_is_left_to_the_other_parser() {
        for text in ["\u{feff}1", r#""\ud83d\ude00""#] {
            assert!(!is_valid(text.as_bytes(), MAX_DEPTH), "{text}");
            assert!(read_any(text.as_bytes(), MAX_DEPTH).is_ok(), "{text}");
        }
        let keys = |count| {
            let keys: Vec<String> = (0..count).map(|key| format!("\"{key}\":1")).collect();
            format!("{{{}}}", keys.join(","))
        };
        let many = keys(MAX_COMPARED_KEYS + 1);
        assert!(is_valid(keys(MAX_COMPARED_KEYS).as_bytes(), MAX_DEPTH));
        assert!(!is_valid(many.as_bytes(), MAX_DEPTH));
        assert!(read(many.as_bytes(), MAX_DEPTH).is_some());
    }
}
