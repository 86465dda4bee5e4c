//! The state of `top`, without a screen and without a connection: what is known of the node, what is looked at, and
//! what follows from a key.

use jiff::Timestamp;

use super::change::Question;
use super::data::{Connection, Data};
use super::keys::{Action, Mode};
use super::poll::{Answer, Request};
use super::table::{Table, TableView};
use super::tables;
use super::view::View;
use crate::model::error::Result;
use crate::model::id::Cid;

/// The lines around a table.
const AROUND: isize = 8;

/// What follows from a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Quit,
    /// Ask now.
    Ask(Request),
}

/// The state.
#[derive(Debug)]
pub(super) struct State {
    pub(super) node: String,
    /// The time of the last answer or tick.
    pub(super) now: Timestamp,
    /// The width and the height of the screen.
    pub(super) size: (u16, u16),
    pub(super) data: Data,
    /// The first line of an invocation's history that is shown.
    pub(super) scrolled: usize,
    /// What is looked at: a list, and what was opened in it.
    views: Vec<View>,
    tables: [TableView; 4],
    /// The filter that is being typed.
    pub(super) typed: Option<String>,
    pub(super) shows_help: bool,
    pub(super) question: Option<Question>,
}

impl State {
    pub(super) fn new(node: &str, now: Timestamp) -> Self {
        Self {
            node: node.to_owned(),
            now,
            size: (80, 24),
            data: Data::default(),
            scrolled: 0,
            views: vec![View::Services],
            // Busy services first, workers by name, the newest invocations first.
            tables: [
                TableView::new(tables::CALLS, true),
                TableView::new(0, false),
                TableView::new(0, false),
                TableView::new(0, false),
            ],
            typed: None,
            shows_help: false,
            question: None,
        }
    }

    /// Takes an answer.
    pub(super) fn take(&mut self, request: &Request, outcome: Result<Answer>) {
        let view = self.view().clone();
        self.data.take(&view, request, outcome);
    }

    /// What is looked at.
    pub(super) fn view(&self) -> &View {
        self.views.last().unwrap_or(&View::Services)
    }

    /// The list that is looked at, or in which something was opened.
    pub(super) fn list(&self) -> &View {
        self.views.first().unwrap_or(&View::Services)
    }

    /// What keys mean now.
    pub(super) fn mode(&self) -> Mode {
        match (&self.question, &self.typed, self.shows_help) {
            (Some(_), _, _) => Mode::Question,
            (None, Some(_), _) => Mode::Typing,
            (None, None, true) => Mode::Help,
            (None, None, false) => Mode::Normal,
        }
    }

    /// What is asked of the node for this view.
    pub(super) fn wanted(&self) -> Vec<Request> {
        let mut wanted = vec![Request::Stats];
        // A node that does not answer is asked for one thing only.
        if !matches!(self.data.connection, Connection::Live) {
            return wanted;
        }
        wanted.push(Request::Status);
        match self.view() {
            View::Services => wanted.push(Request::Services),
            View::Workers => wanted.push(Request::Workers),
            View::Failures => wanted.push(Request::Failures),
            View::Service(name) => {
                wanted.push(Request::Service(name.clone()));
                wanted.push(Request::Recent(name.clone()));
            }
            View::Invocation(cid) => wanted.push(Request::Invocation(*cid, self.size.0)),
        }
        wanted
    }

    /// The table that is looked at, with those rows that are shown; `None` where there is none.
    pub(super) fn table(&self) -> Option<Table> {
        let table = match self.view() {
            View::Services => tables::services(&self.data, self.now),
            View::Workers => tables::workers(&self.data, self.now),
            View::Failures => tables::failures(&self.data.failures, self.now),
            View::Service(_) => tables::recent(&self.data.recent, self.now),
            View::Invocation(_) => return None,
        };
        Some(self.table_view()?.arrange(table))
    }

    /// How the table is looked at.
    pub(super) fn table_view(&self) -> Option<&TableView> {
        self.tables.get(self.table_index()?)
    }

    fn table_index(&self) -> Option<usize> {
        match self.view() {
            View::Services => Some(0),
            View::Workers => Some(1),
            View::Failures => Some(2),
            View::Service(_) => Some(3),
            View::Invocation(_) => None,
        }
    }

    fn with_table(&mut self, change: impl FnOnce(&mut TableView, &Table)) {
        if let Some(table) = self.table()
            && let Some(index) = self.table_index()
            && let Some(view) = self.tables.get_mut(index)
        {
            change(view, &table);
        }
    }

    /// The key of the row with the cursor.
    fn selected(&self) -> Option<String> {
        let table = self.table()?;
        let position = self.table_view()?.position(&table.rows);
        Some(table.rows.get(position)?.key.clone())
    }

    /// The invocation that a change would change: the open one, or that with the cursor.
    pub(super) fn invocation(&self) -> Option<Cid> {
        match self.view() {
            View::Invocation(cid) => Some(*cid),
            View::Failures | View::Service(_) => Cid::parse(&self.selected()?).ok(),
            View::Services | View::Workers => None,
        }
    }

    /// Follows a key.
    pub(super) fn act(&mut self, action: Action) -> Option<Effect> {
        self.data.message = None;
        match action {
            Action::Quit => return Some(Effect::Quit),
            Action::Help => self.shows_help = !self.shows_help,
            Action::Move(by) => self.move_by(by),
            Action::Page(pages) => {
                let rows = isize::try_from(self.size.1).unwrap_or(24) - AROUND;
                self.move_by(pages * rows.max(1));
            }
            Action::List(list) => self.show(list),
            Action::NextList => self.show(match self.list() {
                View::Services => View::Workers,
                View::Workers => View::Failures,
                _ => View::Services,
            }),
            Action::Open => self.open(),
            Action::Back => self.back(),
            Action::Sort(forward) => {
                self.with_table(|view, table| view.sort_by(table.columns, forward));
            }
            Action::Reverse => self.with_table(|view, _| {
                view.sort.is_descending = !view.sort.is_descending;
            }),
            Action::Filter => {
                self.typed = self.table_view().map(|view| view.filter.clone());
            }
            Action::Type(_) | Action::Erase | Action::Apply | Action::Abandon => self.edit(&action),
            Action::Ask(verb) => {
                self.question = self.invocation().map(|cid| Question { verb, cid })
            }
            Action::Yes => {
                let Question { verb, cid } = self.question.take()?;
                return Some(Effect::Ask(Request::Change(verb, cid)));
            }
            Action::No => self.question = None,
        }
        None
    }

    fn move_by(&mut self, by: isize) {
        match self.view() {
            View::Invocation(_) => {
                let last = self.data.history.len().saturating_sub(1);
                self.scrolled = self.scrolled.saturating_add_signed(by).min(last);
            }
            _ => self.with_table(|view, table| view.move_by(&table.rows, by)),
        }
    }

    fn show(&mut self, list: View) {
        self.views = vec![list];
    }

    fn open(&mut self) {
        let view = match (self.view(), self.selected()) {
            (View::Services, Some(name)) => View::Service(name),
            (View::Failures | View::Service(_), Some(cid)) => match Cid::parse(&cid) {
                Ok(cid) => View::Invocation(cid),
                Err(_) => return,
            },
            _ => return,
        };
        match view {
            View::Service(_) => {
                self.data.open_service();
                let [.., last] = &mut self.tables;
                *last = TableView::new(0, false);
            }
            _ => {
                self.data.open_invocation();
                self.scrolled = 0;
            }
        }
        self.views.push(view);
    }

    /// Goes back: from what was opened, or from a filter.
    fn back(&mut self) {
        if self.views.len() > 1 {
            self.views.pop();
        } else {
            self.with_table(|view, _| view.filter.clear());
        }
    }

    fn edit(&mut self, action: &Action) {
        /// No name is longer.
        const MAX_FILTER: usize = 128;
        let Some(typed) = &mut self.typed else {
            return;
        };
        match action {
            Action::Type(key) if typed.chars().count() < MAX_FILTER => typed.push(*key),
            Action::Erase => drop(typed.pop()),
            Action::Abandon => typed.clear(),
            _ => {}
        }
        let filter = typed.clone();
        // What is typed applies at once.
        self.with_table(|view, _| view.filter = filter);
        if matches!(action, Action::Apply | Action::Abandon) {
            self.typed = None;
        }
    }
}
