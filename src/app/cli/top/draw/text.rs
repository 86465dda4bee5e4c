//! Texts of the screen of `top`: colors, and lines of a width.

use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthStr as _;

use crate::app::cli::top::table::Tone;
use crate::app::escape;

pub(super) use crate::app::cli::fit_text::{cut, fit, width};

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
    fn long_texts_are_wrapped() {
        assert_eq!(wrap("one two three", 8), ["one two", "three"]);
        assert_eq!(wrap("incomprehensible", 8), ["incompr…"]);
        assert_eq!(wrap("", 8), [""]);
    }
}
