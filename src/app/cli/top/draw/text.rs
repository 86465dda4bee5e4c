//! Texts of the screen of `top`: escaped, and as wide as their place.

use ratatui::style::{Color, Modifier, Style};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::app::cli::top::table::Tone;
use crate::app::escape;

/// The colors of the screen.
#[derive(Clone, Copy, Debug)]
pub(in crate::app::cli::top) struct Theme {
    pub(in crate::app::cli::top) has_colors: bool,
    /// Whether what is shown is old.
    pub(in crate::app::cli::top) is_stale: bool,
}

impl Theme {
    pub(super) fn of(self, tone: Tone) -> Style {
        let plain = Style::new();
        let colored = |color, otherwise: Modifier| match self.has_colors {
            true => plain.fg(color),
            false => plain.add_modifier(otherwise),
        };
        if self.is_stale {
            return plain.add_modifier(Modifier::DIM);
        }
        match tone {
            Tone::Plain => plain,
            Tone::Quiet => plain.add_modifier(Modifier::DIM),
            Tone::Good => colored(Color::Green, Modifier::empty()),
            Tone::Warning => colored(Color::Yellow, Modifier::BOLD),
            Tone::Bad => colored(Color::Red, Modifier::BOLD),
        }
    }

    /// Of what must be seen, also where the rest is old.
    pub(super) fn fresh(self, tone: Tone) -> Style {
        Self {
            is_stale: false,
            ..self
        }
        .of(tone)
    }
}

/// A text that is as wide as its place: cut, with `…` at its end, or filled with spaces, before it if it is a number.
pub(super) fn fit(text: &str, width: usize, is_number: bool) -> String {
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
pub(super) fn cut(text: &str, width: usize) -> String {
    fit(text, width, false).trim_end().to_owned()
}

/// How wide a text is once it is escaped.
pub(super) fn width(text: &str) -> usize {
    escape::line(text).width()
}

/// A text on lines of a width, broken at spaces.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let text = escape::line(text);
    let (mut lines, mut line) = (Vec::new(), String::new());
    for word in text.split(' ') {
        let space = usize::from(!line.is_empty());
        if !line.is_empty() && line.width() + space + word.width() > width {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.into_iter().map(|line| cut(&line, width)).collect()
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

    #[test]
    fn long_texts_are_wrapped() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("incomprehensible", 8), ["incompr…"]);
        assert_eq!(wrap("", 8), [""]);
    }
}
