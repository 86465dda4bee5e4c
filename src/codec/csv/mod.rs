//! CSV (RFC 4180) to values and back.
//!
//! A document is a list of dicts, one a row. Where elements are declared, cells become what the elements say: numbers
//! and dates are read from their text, lists and dicts from JSON. An empty cell is absent, except where a text is
//! required: there it is the empty one.

mod malformed;
mod read;
mod row_lines;
#[cfg(test)]
mod tests;
mod write;

pub use self::read::{read, read_checked};
pub use self::write::write;
