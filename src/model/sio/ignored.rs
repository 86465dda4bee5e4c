//! The undeclared keys that were dropped from an input, and the metadata that lists them.

/// The limit of listed keys.
const MAX_IGNORED: usize = 50;

/// The metadata key under which a response lists the keys that were dropped from the input.
pub const IGNORED_KEY: &str = "cidery-ignored";

/// Keys that were dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    pub(super) names: Vec<String>,
    /// Whether there are more.
    more: bool,
}

/// Marks a list from which further names were omitted.
const MORE: &str = "+";

impl Ignored {
    /// Whether no key was dropped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names, up to the limit.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Adds a name unless it is listed already or the limit was reached.
    pub fn add(&mut self, name: String) {
        if self.names.contains(&name) {
            return;
        }
        if self.names.len() < MAX_IGNORED {
            self.names.push(name);
        } else {
            self.more = true;
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.more
    }

    /// Parses the value of the `cidery-ignored` metadata.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        let decoded = |name| percent_encoding::percent_decode_str(name).decode_utf8_lossy();
        let names = text.split(',').filter(|name| !name.is_empty());
        Self {
            more: text.ends_with(MORE),
            names: names
                .filter(|name| *name != MORE)
                .map(|name| decoded(name).into_owned())
                .collect(),
        }
    }

    /// The value of the `cidery-ignored` metadata: names separated by commas, percent-encoded where they are not plain
    /// ASCII, with a trailing `+` where further names were omitted.
    #[must_use]
    pub fn to_text(&self) -> String {
        const MAX_BYTES: usize = 1024;
        const ENCODED: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
            .add(b'%')
            .add(b',')
            .add(b' ')
            .add(b'+');
        let mut text = String::new();
        let mut more = self.more;
        for name in &self.names {
            let name = percent_encoding::utf8_percent_encode(name, ENCODED).to_string();
            if text.len() + name.len() > MAX_BYTES || name.is_empty() {
                more = true;
                continue;
            }
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(&name);
        }
        if more {
            text.push_str(if text.is_empty() { MORE } else { ",+" });
        }
        text
    }
}
