//! A page: output that is kept instead of printed. `--watch` and `top` draw it.

use std::sync::{Mutex, PoisonError};

/// How many bytes a page keeps. No list that a person reads is longer; what is beyond them is dropped.
const MAX_BYTES: usize = 4 << 20;

/// What a command would have printed, notes included, as text with the escape sequences of colors.
#[derive(Debug)]
pub(in crate::app::cli) struct Page {
    /// The width to which tables are fitted.
    width: u16,
    text: Mutex<Vec<u8>>,
}

impl Page {
    pub(in crate::app::cli) fn new(width: u16) -> Self {
        Self {
            width,
            text: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn width(&self) -> u16 {
        self.width
    }

    pub(super) fn write(&self, text: &[u8], end: &[u8]) {
        let mut kept = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() + text.len() < MAX_BYTES {
            kept.extend_from_slice(text);
            kept.extend_from_slice(end);
        }
    }

    /// The lines, with colors.
    pub(in crate::app::cli) fn lines(&self) -> Vec<String> {
        let kept = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&kept);
        text.lines().map(str::to_owned).collect()
    }

    /// The lines, without colors.
    pub(in crate::app::cli) fn plain_lines(&self) -> Vec<String> {
        let lines = self.lines().into_iter();
        lines
            .map(|line| anstream::adapter::strip_str(&line).to_string())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_limited() {
        let page = Page::new(80);
        let line = vec![b'x'; 1 << 20];
        (0..8).for_each(|_| page.write(&line, b"\n"));
        assert_eq!(page.lines().len(), 3);
    }

    #[test]
    fn colors_are_removed() {
        let page = Page::new(80);
        page.write(b"\x1b[1ma\x1b[0m", b"\n");
        assert_eq!(page.plain_lines(), ["a"]);
    }
}
