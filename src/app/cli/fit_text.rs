//! Texts that are fitted to a place on the screen: escaped, and as wide as it is.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::app::escape;

/// A text that is as wide as its place: cut, with `…` at its end, or filled with spaces, before it if it is a number.
pub(in crate::app::cli) fn fit(text: &str, width: usize, is_number: bool) -> String {
    let text = escape::line(text);
    let own = text.width();
    if own <= width {
        let space = " ".repeat(width - own);
        return match is_number {
            true => space + &text,
            false => text.into_owned() + &space,
        };
    }
    let (mut cut, mut used) = (String::new(), 0);
    for c in text.chars() {
        let more = c.width().unwrap_or_default();
        if used + more >= width {
            break;
        }
        cut.push(c);
        used += more;
    }
    if width > used {
        cut.push('…');
        used += 1;
    }
    // A wide character may have left a column.
    cut + &" ".repeat(width.saturating_sub(used))
}

/// A text as wide as it is, but no wider than its place.
pub(in crate::app::cli) fn cut(text: &str, width: usize) -> String {
    fit(text, width, false).trim_end().to_owned()
}

/// How wide a text is once it is escaped.
pub(in crate::app::cli) fn width(text: &str) -> usize {
    escape::line(text).width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_its_place() {
        for (text, width, is_number, expected) in [
            ("abc", 5, false, "abc  "),
            ("12", 5, true, "   12"),
            ("abcdef", 4, false, "abc…"),
            ("漢字漢字", 4, false, "漢… "),
            ("a\u{1b}[2J", 12, false, "a\\u{1b}[2J  "),
            ("abc", 0, false, ""),
            ("e\u{301}e\u{301}", 3, false, "e\u{301}e\u{301} "),
        ] {
            assert_eq!(fit(text, width, is_number), expected, "{text:?}");
        }
    }
}
