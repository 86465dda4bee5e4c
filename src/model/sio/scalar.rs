//! One value of one type that is no dict and no list: what is accepted, and what it becomes.
//!
//! Nothing is guessed: a text is taken where it says exactly one value of the type, and no digit is dropped.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use super::element::{Element, Type};
use crate::model::id::shortened;
use crate::model::value::Value;

/// What is wrong with a value.
pub(super) struct ScalarError {
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// 0001-01-01T00:00:00Z: what `google.protobuf.Timestamp` begins with, and RFC 3339 years.
const FIRST_SECOND: i64 = -62_135_596_800;

/// Reads a value of an element whose type is no list and no dict.
pub(super) fn read(element: &Element, value: Value) -> Result<Value, ScalarError> {
    match element.kind {
        Type::Text => text(value).and_then(|text| allowed(element, text)),
        Type::Secret => match text(value) {
            Ok(text) => Ok(Value::Text(text)),
            // What was sent is not shown.
            Err(_) => Err(wrong("is not text".to_owned())),
        },
        Type::Int => int(value).and_then(|int| in_range(element, int)),
        Type::Float => float(&value),
        Type::Decimal => decimal(&value),
        Type::Bool => bool(&value),
        Type::Date => date(&value),
        Type::DateTime => instant(&value),
        Type::Uuid => uuid(&value),
        Type::Bytes => bytes(value),
        Type::AsIs | Type::List(_) | Type::Dict(_) | Type::DictList(_) | Type::Csv => Ok(value),
    }
}

fn wrong(message: String) -> ScalarError {
    let code = "WRONG_TYPE";
    ScalarError { code, message }
}

/// A text that is not of the form of its type.
fn malformed(text: &str, form: &str) -> ScalarError {
    ScalarError {
        code: "MALFORMED",
        message: format!("the text {:?} is not {form}", shortened(text)),
    }
}

fn out_of_range(message: String) -> ScalarError {
    let code = "OUT_OF_RANGE";
    ScalarError { code, message }
}

/// `{value} is not {wanted}`.
pub(super) fn is_not(value: &Value, wanted: &str) -> ScalarError {
    wrong(format!("{} is not {wanted}", shown(value)))
}

/// A value in the words of whoever sent it.
fn shown(value: &Value) -> String {
    match value {
        Value::Bool(flag) => flag.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Float(x) => x.to_string(),
        Value::Digits(digits) => shortened(digits.as_str()),
        Value::Text(text) => format!("the text {:?}", shortened(text)),
        Value::Null | Value::Bytes(_) | Value::List(_) | Value::Dict(_) => {
            value.kind_name().to_owned()
        }
    }
}

/// Text; numbers and booleans by the text that JSON has for them.
fn text(value: Value) -> Result<String, ScalarError> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Int(n) => Ok(n.to_string()),
        Value::Float(x) if x.is_finite() => Ok(format!("{x:?}")),
        Value::Digits(digits) => Ok(digits.as_str().to_owned()),
        Value::Bool(flag) => Ok(flag.to_string()),
        other => Err(is_not(&other, "text")),
    }
}

fn allowed(element: &Element, text: String) -> Result<Value, ScalarError> {
    const NAMED: usize = 20;
    if element.one_of.is_empty() || element.one_of.contains(&text) {
        return Ok(Value::Text(text));
    }
    let named = element.one_of.iter().take(NAMED);
    let mut allowed = named
        .map(|t| format!("`{}`", shortened(t)))
        .collect::<Vec<_>>();
    if element.one_of.len() > NAMED {
        allowed.push("…".to_owned());
    }
    Err(ScalarError {
        code: "NOT_ONE_OF",
        message: format!(
            "the text {:?} is none of {}",
            shortened(&text),
            allowed.join(", ")
        ),
    })
}

/// A whole number of any size, `Int` or `Digits`.
fn int(value: Value) -> Result<Value, ScalarError> {
    const WANTED: &str = "a whole number";
    let whole = |text: &str| {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text.strip_prefix('+').unwrap_or(text)),
        };
        let all = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let significant = match digits.trim_start_matches('0') {
            "" => return all.then_some(Value::Int(0)),
            significant => significant,
        };
        all.then(|| Value::number(&format!("{sign}{significant}")))
            .flatten()
    };
    match &value {
        Value::Int(_) => Ok(value),
        Value::Digits(digits) => whole(digits.as_str()).ok_or_else(|| is_not(&value, WANTED)),
        Value::Text(text) => whole(text.trim_ascii()).ok_or_else(|| is_not(&value, WANTED)),
        Value::Float(x) => match Value::from_double(*x) {
            int @ Value::Int(_) => Ok(int),
            _ if *x == 0.0 => Ok(Value::Int(0)),
            _ if x.is_finite() && x.fract() == 0.0 => Err(out_of_range(format!(
                "{x} is a double beyond 2^53, which may have lost digits: send it as text"
            ))),
            _ => Err(is_not(&value, WANTED)),
        },
        _ => Err(is_not(&value, WANTED)),
    }
}

fn in_range(element: &Element, value: Value) -> Result<Value, ScalarError> {
    if element.minimum.is_none() && element.maximum.is_none() {
        return Ok(value);
    }
    let number = match &value {
        Value::Int(n) => Some(i128::from(*n)),
        Value::Digits(digits) => digits.as_str().parse().ok(),
        _ => None,
    };
    let fits = match number {
        Some(n) => {
            element.minimum.is_none_or(|least| n >= least)
                && element.maximum.is_none_or(|most| n <= most)
        }
        // Beyond 128 bits, on one side or the other.
        None if shown(&value).starts_with('-') => element.minimum.is_none(),
        None => element.maximum.is_none(),
    };
    if fits {
        return Ok(value);
    }
    let bound = match (element.minimum, element.maximum) {
        (Some(least), Some(most)) => format!("from {least} to {most}"),
        (Some(least), None) => format!("of at least {least}"),
        (_, Some(most)) => format!("of at most {most}"),
        (None, None) => String::new(),
    };
    Err(out_of_range(format!(
        "{} is not a whole number {bound}",
        shown(&value)
    )))
}

/// The nearest double. Infinities and NaN are no numbers here.
fn float(value: &Value) -> Result<Value, ScalarError> {
    let parsed = match value {
        Value::Float(x) => Some(*x),
        #[expect(clippy::cast_precision_loss, reason = "a double is what was declared")]
        Value::Int(n) => Some(*n as f64),
        Value::Digits(digits) => digits.as_str().parse().ok(),
        Value::Text(text) if is_decimal(text.trim_ascii()) => text.trim_ascii().parse().ok(),
        _ => None,
    };
    match parsed {
        Some(x) if x.is_finite() => Ok(Value::Float(x)),
        Some(_) => Err(out_of_range(format!(
            "{} is beyond what a double holds",
            shown(value)
        ))),
        None => Err(is_not(value, "a number")),
    }
}

/// The digits, as text: `1.10` stays `1.10`.
fn decimal(value: &Value) -> Result<Value, ScalarError> {
    let digits = match value {
        Value::Int(n) => n.to_string(),
        // The shortest text of the double: 1.1 stays 1.1.
        Value::Float(x) if x.is_finite() => format!("{x:?}"),
        Value::Digits(digits) => digits.as_str().to_owned(),
        Value::Text(text) if is_decimal(text.trim_ascii()) => {
            let text = text.trim_ascii();
            text.strip_prefix('+').unwrap_or(text).to_owned()
        }
        _ => return Err(is_not(value, "a decimal number")),
    };
    Ok(Value::Text(digits))
}

/// Digits with an optional sign, an optional fraction and an optional exponent.
fn is_decimal(text: &str) -> bool {
    fn unsigned(text: &str) -> &str {
        text.strip_prefix(['+', '-']).unwrap_or(text)
    }
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (unsigned(mantissa), Some(unsigned(exponent))),
        None => (unsigned(text), None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole) && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}

fn bool(value: &Value) -> Result<Value, ScalarError> {
    let flag = match value {
        Value::Bool(flag) => Some(*flag),
        Value::Int(1) => Some(true),
        Value::Int(0) => Some(false),
        Value::Text(text) => match text.trim_ascii().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
            "false" | "no" | "off" | "n" | "f" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    };
    flag.map(Value::Bool)
        .ok_or_else(|| is_not(value, "true or false"))
}

fn date(value: &Value) -> Result<Value, ScalarError> {
    const FORM: &str = "a date such as 2026-01-31";
    let Value::Text(text) = value else {
        return Err(is_not(value, FORM));
    };
    let text = text.trim_ascii();
    // The parser takes times as well; they would be dropped.
    let is_date = text
        .parse::<Date>()
        .is_ok_and(|date| date.to_string() == text);
    if is_date {
        Ok(Value::Text(text.to_owned()))
    } else {
        Err(malformed(text, FORM))
    }
}

/// An instant, written in UTC.
fn instant(value: &Value) -> Result<Value, ScalarError> {
    const FORM: &str = "an instant such as 2026-01-31T12:00:00Z (RFC 3339, with `Z` or an offset)";
    let Value::Text(text) = value else {
        return Err(is_not(value, FORM));
    };
    let text = text.trim_ascii();
    // The parser takes more than RFC 3339, and makes 59 of a leap second.
    let instant: Timestamp = match text.parse() {
        Ok(instant) if is_rfc3339(text) => instant,
        _ => return Err(malformed(text, FORM)),
    };
    if instant.as_second() < FIRST_SECOND {
        return Err(out_of_range(format!("{instant} is before the year 1")));
    }
    Ok(Value::Text(instant.to_string()))
}

/// `2026-01-31T12:00:00.5+01:00`, by its shape.
fn is_rfc3339(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let shape = shape.to_ascii_uppercase().replacen(' ', "T", 1);
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else {
        // A year before the first: it is of the form, and too early.
        return shape.starts_with("-000000-00-00T00:00:00");
    };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => {
            let zone = fraction.trim_start_matches('0');
            if zone.len() == fraction.len() {
                return false;
            }
            zone
        }
        None => rest,
    };
    matches!(zone, "Z" | "+00:00" | "-00:00") && text.get(17..19) != Some("60")
}

fn uuid(value: &Value) -> Result<Value, ScalarError> {
    const FORM: &str = "a UUID";
    let Value::Text(text) = value else {
        return Err(is_not(value, FORM));
    };
    let text = text.trim_ascii();
    // With braces or as a URN it is another text.
    let uuid = match Uuid::try_parse(text) {
        Ok(uuid) if matches!(text.len(), 32 | 36) => uuid,
        _ => return Err(malformed(text, FORM)),
    };
    Ok(Value::Text(uuid.hyphenated().to_string()))
}

fn bytes(value: Value) -> Result<Value, ScalarError> {
    const FORM: &str = "base64 (RFC 4648)";
    const PADDED_OR_NOT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    match &value {
        Value::Bytes(_) => Ok(value),
        Value::Text(text) => {
            let url_safe = text.contains(['-', '_']);
            let alphabet = if url_safe { &URL_SAFE } else { &STANDARD };
            let engine = GeneralPurpose::new(alphabet, PADDED_OR_NOT);
            let bytes = engine
                .decode(text.trim_ascii())
                .map_err(|_| malformed(text, FORM))?;
            Ok(Value::Bytes(bytes.into()))
        }
        other => Err(is_not(other, "bytes")),
    }
}
