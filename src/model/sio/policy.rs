//! Policies of a declaration: unknown keys, empty strings, the CSV dialect.

/// What becomes of keys that are not declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownKeys {
    /// They are dropped; those of an input are named in the `cidery-ignored` metadata of the answer.
    #[default]
    Drop,
    /// They are handed on, after those that are declared.
    Keep,
    /// They are violations.
    Refuse,
}

/// What becomes of empty texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyStrings {
    /// They are texts like any other: an empty `Text` is one, an empty `Int` is a violation.
    #[default]
    Refuse,
    /// They count as absent, in elements of every type.
    Absent,
}

/// How CSV documents (RFC 4180) are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// Whether the first row names the columns. Default: yes. Without it columns are in declaration order.
    pub header: bool,
    /// What is between cells: one ASCII character. Default: a comma.
    pub delimiter: u8,
    /// What is around cells that need it: one ASCII character. Default: a double quote.
    pub quote: u8,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            header: true,
            delimiter: b',',
            quote: b'"',
        }
    }
}
