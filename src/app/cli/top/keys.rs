//! Keys of `top`: what each does.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::poll::Verb;
use super::view::View;

/// What keys mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Normal,
    /// A filter is typed.
    Typing,
    /// A change has to be confirmed.
    Question,
    /// The help is shown: any key closes it.
    Help,
}

/// What a key does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Quit,
    Help,
    /// Moves the cursor by so many rows.
    Move(isize),
    /// Moves the cursor by so many pages.
    Page(isize),
    /// Shows a list.
    List(View),
    NextList,
    /// Opens what has the cursor.
    Open,
    Back,
    /// Sorts by the next column, or by the one before.
    Sort(bool),
    Reverse,
    /// Begins to type a filter.
    Filter,
    Type(char),
    Erase,
    /// Ends typing.
    Apply,
    /// Ends typing, without a filter.
    Abandon,
    /// Asks whether to change the invocation with the cursor.
    Ask(Verb),
    Yes,
    No,
}

/// The keys, for the help.
pub(super) const KEYS: [(&str, &str); 11] = [
    ("1 2 3, Tab", "services, workers, failures"),
    ("↑ ↓, j k", "move; PgUp PgDn, Home End, g G"),
    ("Enter", "open a service, or an invocation"),
    ("Esc", "back; without a filter"),
    ("s S, ← →", "sort by the next or previous column"),
    ("o", "reverse the order"),
    ("/", "show only rows with a text"),
    ("c", "cancel the invocation, after a question"),
    ("r", "retry the invocation, after a question"),
    ("?", "this help"),
    ("q, Ctrl-C", "quit"),
];

/// What a key does; `None` for one that does nothing.
pub(super) fn action(key: KeyEvent, mode: Mode) -> Option<Action> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
    if with_control && key.code == KeyCode::Char('c') {
        return Some(Action::Quit);
    }
    match mode {
        Mode::Normal if with_control => None,
        Mode::Normal => normal(key.code),
        Mode::Typing => match key.code {
            KeyCode::Char('u') if with_control => Some(Action::Abandon),
            KeyCode::Char(_) if with_control => None,
            KeyCode::Char(typed) => Some(Action::Type(typed)),
            KeyCode::Backspace => Some(Action::Erase),
            KeyCode::Enter => Some(Action::Apply),
            KeyCode::Esc => Some(Action::Abandon),
            KeyCode::Up => Some(Action::Move(-1)),
            KeyCode::Down => Some(Action::Move(1)),
            _ => None,
        },
        Mode::Question => Some(match key.code {
            KeyCode::Char('y' | 'Y') => Action::Yes,
            _ => Action::No,
        }),
        Mode::Help => Some(match key.code {
            KeyCode::Char('q') => Action::Quit,
            _ => Action::Help,
        }),
    }
}

fn normal(key: KeyCode) -> Option<Action> {
    Some(match key {
        KeyCode::Char('q') => Action::Quit,
        KeyCode::Char('?' | 'h') => Action::Help,
        KeyCode::Char('1') => Action::List(View::Services),
        KeyCode::Char('2') => Action::List(View::Workers),
        KeyCode::Char('3') => Action::List(View::Failures),
        KeyCode::Tab => Action::NextList,
        KeyCode::Up | KeyCode::Char('k') => Action::Move(-1),
        KeyCode::Down | KeyCode::Char('j') => Action::Move(1),
        KeyCode::PageUp => Action::Page(-1),
        KeyCode::PageDown => Action::Page(1),
        KeyCode::Home | KeyCode::Char('g') => Action::Move(isize::MIN),
        KeyCode::End | KeyCode::Char('G') => Action::Move(isize::MAX),
        KeyCode::Enter => Action::Open,
        KeyCode::Esc | KeyCode::Backspace => Action::Back,
        KeyCode::Right | KeyCode::Char('s') => Action::Sort(true),
        KeyCode::Left | KeyCode::Char('S') => Action::Sort(false),
        KeyCode::Char('o') => Action::Reverse,
        KeyCode::Char('/') => Action::Filter,
        KeyCode::Char('c') => Action::Ask(Verb::Cancel),
        KeyCode::Char('r') => Action::Ask(Verb::Retry),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(code: KeyCode, mode: Mode) -> Option<Action> {
        action(KeyEvent::new(code, KeyModifiers::NONE), mode)
    }

    #[test]
    fn a_key_means_what_its_mode_says() {
        let q = KeyCode::Char('q');
        assert_eq!(press(q, Mode::Normal), Some(Action::Quit));
        assert_eq!(press(q, Mode::Typing), Some(Action::Type('q')));
        // Only `y` confirms.
        for (key, expected) in [('q', Action::No), ('y', Action::Yes), ('n', Action::No)] {
            assert_eq!(press(KeyCode::Char(key), Mode::Question), Some(expected));
        }
        assert_eq!(press(KeyCode::Enter, Mode::Question), Some(Action::No));
        assert_eq!(press(KeyCode::F(1), Mode::Normal), None);
    }

    #[test]
    fn control_c_quits_always() {
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        for mode in [Mode::Normal, Mode::Typing, Mode::Question, Mode::Help] {
            assert_eq!(action(key, mode), Some(Action::Quit), "{mode:?}");
        }
    }
}
