//! Policies of a declaration: unknown keys, empty strings, the CSV dialect.

/// The policy for undeclared keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownKeys {
    /// They are dropped; those of an input are listed in the `cidery-ignored` metadata of the response.
    #[default]
    Drop,
    /// They are kept, after the declared ones.
    Keep,
    /// They are violations.
    Refuse,
}

/// The policy for empty texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EmptyStrings {
    /// They are texts: an empty `Text` is valid, an empty `Int` is a violation.
    #[default]
    Refuse,
    /// They count as absent, except in elements that can be an empty text: `Text`, `Secret`, `Csv` and `AsIs`.
    Absent,
}

/// The dialect of CSV documents (RFC 4180).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvOptions {
    /// Whether the first row is a header. Default: yes. Without a header the columns are in declaration order.
    pub header: bool,
    /// The delimiter: one ASCII character. Default: a comma.
    pub delimiter: u8,
    /// The quote: one ASCII character. Default: a double quote.
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
