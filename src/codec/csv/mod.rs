//! CSV (RFC 4180) to values and back.
//!
//! A document is a list of dicts, one per row. Cells are converted to the declared elements: numbers and dates from
//! their text, lists and dicts from JSON. An empty cell counts as absent, or as the empty text where a text is
//! required.

mod malformed;
mod read;
mod row_lines;
mod row_scanner;
#[cfg(feature = "cli")]
mod row_splitter;
#[cfg(test)]
mod tests;
mod write;

pub use self::read::{read, read_checked};
#[cfg(feature = "cli")]
pub(crate) use self::row_splitter::{Columns, RowSplitter, RowText};
pub use self::write::write;
#[cfg(feature = "cli")]
pub(crate) use self::write::write_row;
