//! The types of declared elements as text, for `describe` and `top`.

use crate::codec::proto::v1;

/// The type of an element with what restricts it: `Int (0..)`, `Text: a | b`.
pub(super) fn type_of(element: &v1::Element) -> String {
    let kind = v1::ElementType::try_from(element.r#type).unwrap_or_default();
    let name = kind.as_str_name().trim_start_matches("ELEMENT_TYPE_");
    let name: String = name.split('_').map(capitalized).collect();
    let mut text = match &element.item {
        Some(item) => format!("{name} of {}", type_of(item)),
        None => name,
    };
    if !element.one_of.is_empty() {
        text.push_str(&format!(": {}", element.one_of.join(" | ")));
    }
    let whole_range = [i64::MIN.to_string(), i64::MAX.to_string()];
    match (element.minimum.as_str(), element.maximum.as_str()) {
        ("", "") => {}
        // The full range of 64-bit integers is no restriction.
        (least, most) if [least, most] == whole_range.each_ref().map(String::as_str) => {}
        (least, most) => text.push_str(&format!(" ({least}..{most})")),
    }
    text
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at_checked(1).unwrap_or_default();
    format!("{first}{}", rest.to_lowercase())
}
