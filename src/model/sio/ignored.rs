//! Keys of an input that are not declared and were dropped, and the metadata that names them.

/// How many names of ignored keys are kept.
const MAX_IGNORED: usize = 50;

/// The metadata key under which an answer names the keys of the input that were dropped.
pub const IGNORED_KEY: &str = "cidery-ignored";

/// Keys that were dropped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    pub(super) names: Vec<String>,
    /// Whether there are more.
    more: bool,
}

/// Stands for the names that are not there.
const MORE: &str = "+";

impl Ignored {
    /// Whether nothing was dropped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names, as far as there was room for them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Adds a name, once, if there is room.
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

    /// The names that the `cidery-ignored` metadata has.
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

    /// The names as the `cidery-ignored` metadata has them: separated by commas, percent-encoded where they are not
    /// plain ASCII, and at last a `+` where there are more.
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
