//! Draws the state of `top`: pure, so that tests compare screens.

mod detail;
mod header;
mod table;
mod text;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::Line;
use ratatui::widgets::{Clear, Paragraph};

use self::text::{Theme, cut, fit};
use super::data::Connection;
use super::keys::{KEYS, Mode};
use super::state::State;
use super::table::Tone;
use super::view::View;
use crate::codec::proto::v1;

/// How many kinds of failures are shown above those that are stored.
const MAX_FAILING: usize = 4;
/// The smallest part of the screen that is left for a table.
const MIN_TABLE: u16 = 5;

/// Draws a frame.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, has_colors: bool) {
    let area = frame.area();
    let wide = usize::from(area.width);
    let theme = Theme {
        has_colors,
        is_stale: matches!(state.data.connection, Connection::Lost(_)),
    };
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(header::LINES),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(header::lines(state, wide, theme)), head);
    draw_body(frame, state, body, theme);
    frame.render_widget(Paragraph::new(footer(state, wide, theme)), foot);
    if state.mode() == Mode::Help {
        draw_help(frame, area, theme);
    }
}

fn draw_body(frame: &mut Frame<'_>, state: &State, area: Rect, theme: Theme) {
    let wide = usize::from(area.width);
    let above = match state.view() {
        View::Invocation(_) => return draw_history(frame, state, area, theme),
        View::Service(name) => detail::service(&state.data, name, wide, theme),
        View::Failures => failing(state, wide, theme),
        View::Services | View::Workers => refusal(state, wide, theme),
    };
    let high = u16::try_from(above.len()).unwrap_or(u16::MAX);
    let high = high.min(area.height.saturating_sub(MIN_TABLE));
    let parts = [Constraint::Length(high), Constraint::Fill(1)];
    let [top, area] = Layout::vertical(parts).areas(area);
    frame.render_widget(Paragraph::new(above), top);
    if let (Some(table), Some(view)) = (state.table(), state.table_view()) {
        let lines = table::lines(&table, view, area, theme);
        frame.render_widget(Paragraph::new(lines), area);
    }
}

/// The history of an invocation, from the line to which it was scrolled.
fn draw_history(frame: &mut Frame<'_>, state: &State, area: Rect, theme: Theme) {
    let wide = usize::from(area.width);
    let style = theme.of(Tone::Plain);
    let history = &state.data.history;
    let shown = history.iter().skip(state.scrolled);
    let lines = shown.take(usize::from(area.height));
    let mut lines: Vec<Line<'_>> = lines
        .map(|line| Line::styled(cut(line, wide), style))
        .collect();
    if history.is_empty() {
        lines.push(Line::styled("…", theme.of(Tone::Quiet)));
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// A refusal that the header has no room for: its end says what to do.
fn refusal(state: &State, wide: usize, theme: Theme) -> Vec<Line<'static>> {
    match &state.data.connection {
        Connection::Refused(why) if text::width(&header::refusal(why)) > wide => {
            let lines = text::wrap(why, wide).into_iter();
            lines
                .map(|line| Line::styled(line, theme.of(Tone::Plain)))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// The calls and attempts that failed in the last hour, stored or not.
fn failing(state: &State, wide: usize, theme: Theme) -> Vec<Line<'static>> {
    let Some(status) = &state.data.status else {
        return Vec::new();
    };
    let failing = &status.failing_services;
    if failing.is_empty() {
        return Vec::new();
    }
    let heading = "Failed in the last hour, of calls and attempts:";
    let mut lines = vec![Line::styled(cut(heading, wide), theme.of(Tone::Quiet))];
    let shown = failing.iter().take(MAX_FAILING);
    lines.extend(shown.map(|one| Line::styled(cut(&failing_text(one), wide), theme.of(Tone::Bad))));
    let all = status.totals.unwrap_or_default().failing_services;
    let all = usize::try_from(all).unwrap_or(usize::MAX);
    if let more @ 1.. = all.max(failing.len()).saturating_sub(MAX_FAILING) {
        let more = format!("and {more} more: `cidery status`");
        lines.push(Line::styled(cut(&more, wide), theme.of(Tone::Quiet)));
    }
    let heading = "Stored, and not retried since:";
    lines.push(Line::styled(cut(heading, wide), theme.of(Tone::Quiet)));
    lines
}

fn failing_text(failing: &v1::FailingService) -> String {
    let (failures, calls) = (failing.failures, failing.calls);
    let (service, reason) = (&failing.service, &failing.reason);
    let message = &failing.example_message;
    format!("{failures} of {calls}  {service}  {reason}  {message}")
}

/// The line at the bottom: a question, what is typed, what came of a change, or the keys.
fn footer(state: &State, wide: usize, theme: Theme) -> Line<'static> {
    let style = theme.fresh(Tone::Warning).add_modifier(Modifier::BOLD);
    if let Some(question) = &state.question {
        return Line::styled(cut(&question.text(), wide), style);
    }
    if let Some(typed) = &state.typed {
        return Line::styled(cut(&format!("/{typed}▏"), wide), style);
    }
    let counts = match (state.table(), state.table_view()) {
        (Some(table), Some(view)) => table::count_text(&table, view),
        _ => format!("{}/{}", state.scrolled + 1, state.data.history.len().max(1)),
    };
    let room = wide.saturating_sub(text::width(&counts) + 1);
    let (text, tone) = match &state.data.message {
        Some((tone, message)) => (message.clone(), *tone),
        None => (keys(state), Tone::Quiet),
    };
    let left = fit(&text, room, false);
    Line::styled(format!("{left} {counts}"), theme.fresh(tone))
}

fn keys(state: &State) -> String {
    match state.view() {
        View::Services => "q quit  ? help  / filter  s sort  o order  Enter open",
        View::Workers => "q quit  ? help  / filter  s sort  o order",
        View::Failures => "q quit  ? help  / filter  Enter open  r retry  c cancel",
        View::Service(_) => "q quit  ? help  Esc back  Enter open  r retry  c cancel",
        View::Invocation(_) => "q quit  ? help  Esc back  j k scroll  r retry  c cancel",
    }
    .to_owned()
}

/// The keys, in the middle of the screen.
fn draw_help(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    const WIDE: u16 = 60;
    let style = theme.fresh(Tone::Plain).add_modifier(Modifier::REVERSED);
    let width = WIDE.min(area.width);
    let mut lines = vec![String::new()];
    lines.extend(KEYS.map(|(key, what)| format!("  {key:12}  {what}")));
    lines.push(String::new());
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let height = height.min(area.height);
    let area = Rect {
        x: (area.width - width) / 2,
        y: (area.height - height) / 2,
        width,
        height,
    };
    let lines = lines.into_iter();
    let lines = lines.map(|line| Line::styled(fit(&line, width.into(), false), style));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
}
