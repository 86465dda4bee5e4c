//! The comments of a field in `.proto` files: the description of its element, and what protobuf cannot declare.

use crate::codec::json;
use crate::model::sio::{Element, Type};

/// The longest default value in a comment, in characters. A longer one is shortened.
const MAX_DEFAULT: usize = 200;

/// A side of a declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Input,
    Output,
}

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Input => "the input",
            Self::Output => "the output",
        }
    }
}

/// The comments of an element, each a sentence or a label with its value.
pub(super) fn comments(element: &Element, side: Side) -> Vec<String> {
    let mut comments = Vec::new();
    if !element.description.is_empty() {
        comments.push(element.description.clone());
    }
    // On the wire, an absent list is an empty list.
    let is_list = matches!(element.kind, Type::List(_) | Type::DictList(_) | Type::Csv);
    if side == Side::Input && !element.optional && !is_list {
        comments.push("Required.".to_owned());
    }
    let default = element.shown_default();
    if let Some(default) = default.and_then(|default| json::write(&default).ok()) {
        comments.push(format!("Default: {}.", shortened(&default)));
    }
    match &element.kind {
        Type::List(Some(item)) => constraints(&mut comments, item, " of each item"),
        _ => constraints(&mut comments, element, ""),
    }
    comments
}

/// `of` follows the label.
fn constraints(comments: &mut Vec<String>, element: &Element, of: &str) {
    let format = match element.kind {
        Type::Date => Some("date, such as `2026-01-31` (RFC 3339)"),
        Type::Decimal => Some("decimal number, such as `1.50`"),
        Type::Uuid => Some("UUID (RFC 9562)"),
        _ => None,
    };
    if let Some(format) = format {
        comments.push(format!("Format{of}: {format}."));
    }
    if !element.one_of.is_empty() {
        let allowed = element.one_of.iter().map(|text| format!("{text:?}"));
        let allowed = allowed.collect::<Vec<_>>().join(", ");
        comments.push(format!("Allowed values{of}: {allowed}."));
    }
    // What the type of the field implies is not repeated.
    let minimum = element.minimum.filter(|min| *min > i64::MIN.into());
    let maximum = element.maximum.filter(|max| *max < i64::MAX.into());
    match (minimum, maximum) {
        (Some(min), Some(max)) => comments.push(format!("Range{of}: {min} to {max}.")),
        (Some(min), None) => comments.push(format!("Minimum{of}: {min}.")),
        (None, Some(max)) => comments.push(format!("Maximum{of}: {max}.")),
        (None, None) => {}
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(MAX_DEFAULT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}
