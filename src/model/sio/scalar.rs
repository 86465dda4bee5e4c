//! Conversion of scalar values to their declared type.
//!
//! Nothing is guessed: a text is accepted where it denotes exactly one value of the type, and no digit is dropped.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use super::element::{Element, Type};
use crate::model::id::truncated;
use crate::model::value::Value;

/// A violation of a scalar, without its path.
pub(super) struct ScalarError {
    pub(super) code: &'static str,
    pub(super) message: String,
}

/// 0001-01-01T00:00:00Z: the first second of `google.protobuf.Timestamp` and of RFC 3339.
const FIRST_SECOND: i64 = -62_135_596_800;

/// Converts the value of an element whose type is neither a list nor a dict.
pub(super) fn read(element: &Element, value: Value) -> Result<Value, ScalarError> {
    match element.kind {
        Type::Text => text(value).and_then(|text| check_one_of(element, text)),
        Type::Secret => match text(value) {
            Ok(text) => Ok(Value::Text(text)),
            // The value is not shown, since it may be the secret.
            Err(_) => Err(wrong_type("is not text".to_owned())),
        },
        Type::Int => int(value).and_then(|int| check_range(element, int)),
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

fn wrong_type(message: String) -> ScalarError {
    let code = "WRONG_TYPE";
    ScalarError { code, message }
}

/// The error of a text that is malformed for its type.
fn malformed(text: &str, form: &str) -> ScalarError {
    ScalarError {
        code: "MALFORMED",
        message: format!("the text {:?} is not {form}", truncated(text)),
    }
}

fn out_of_range(message: String) -> ScalarError {
    let code = "OUT_OF_RANGE";
    ScalarError { code, message }
}

/// `{value} is not {expected}`.
pub(super) fn is_not(value: &Value, expected: &str) -> ScalarError {
    wrong_type(format!("{} is not {expected}", display(value)))
}

/// A value as it is shown in messages.
fn display(value: &Value) -> String {
    match value {
        Value::Bool(flag) => flag.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Float(x) => x.to_string(),
        Value::Digits(digits) => truncated(digits.as_str()),
        Value::Text(text) => format!("the text {:?}", truncated(text)),
        Value::Null | Value::Bytes(_) | Value::List(_) | Value::Dict(_) => {
            value.kind_name().to_owned()
        }
    }
}

/// Text; numbers and booleans become their JSON text.
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

fn check_one_of(element: &Element, text: String) -> Result<Value, ScalarError> {
    const MAX_LISTED: usize = 20;
    if element.one_of.is_empty() || element.one_of.contains(&text) {
        return Ok(Value::Text(text));
    }
    let named = element.one_of.iter().take(MAX_LISTED);
    let mut allowed = named
        .map(|t| format!("`{}`", truncated(t)))
        .collect::<Vec<_>>();
    if element.one_of.len() > MAX_LISTED {
        allowed.push("…".to_owned());
    }
    Err(ScalarError {
        code: "NOT_ONE_OF",
        message: format!(
            "the text {:?} is none of {}",
            truncated(&text),
            allowed.join(", ")
        ),
    })
}

/// A whole number of any size, `Int` or `Digits`.
fn int(value: Value) -> Result<Value, ScalarError> {
    const EXPECTED: &str = "a whole number";
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
        Value::Digits(digits) => whole(digits.as_str()).ok_or_else(|| is_not(&value, EXPECTED)),
        Value::Text(text) => whole(text.trim_ascii()).ok_or_else(|| is_not(&value, EXPECTED)),
        Value::Float(x) => match Value::from_double(*x) {
            int @ Value::Int(_) => Ok(int),
            _ if *x == 0.0 => Ok(Value::Int(0)),
            _ if x.is_finite() && x.fract() == 0.0 => Err(out_of_range(format!(
                "{x} is a double beyond 2^53, which may have lost digits: send it as text"
            ))),
            _ => Err(is_not(&value, EXPECTED)),
        },
        _ => Err(is_not(&value, EXPECTED)),
    }
}

fn check_range(element: &Element, value: Value) -> Result<Value, ScalarError> {
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
        // The number exceeds 128 bits in one direction or the other.
        None if display(&value).starts_with('-') => element.minimum.is_none(),
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
        display(&value)
    )))
}

/// The nearest double. Infinities and NaN are rejected.
fn float(value: &Value) -> Result<Value, ScalarError> {
    let parsed = match value {
        Value::Float(x) => Some(*x),
        #[expect(clippy::cast_precision_loss, reason = "the declared type is a double")]
        Value::Int(n) => Some(*n as f64),
        Value::Digits(digits) => digits.as_str().parse().ok(),
        Value::Text(text) if is_decimal(text.trim_ascii()) => text.trim_ascii().parse().ok(),
        _ => None,
    };
    match parsed {
        Some(x) if x.is_finite() => Ok(Value::Float(x)),
        Some(_) => Err(out_of_range(format!(
            "{} is beyond the range of a double",
            display(value)
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

/// Whether the text is digits with an optional sign, an optional fraction and an optional exponent.
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
    // The parser accepts a time as well, which would be dropped.
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
    // The parser accepts more than RFC 3339, and turns a leap second into second 59.
    let instant: Timestamp = match text.parse() {
        Ok(instant) if is_rfc3339(text) => instant,
        _ => return Err(malformed(text, FORM)),
    };
    if instant.as_second() < FIRST_SECOND {
        return Err(out_of_range(format!("{instant} is before the year 1")));
    }
    Ok(Value::Text(instant.to_string()))
}

/// Whether the text has the shape of RFC 3339, such as `2026-01-31T12:00:00.5+01:00`.
fn is_rfc3339(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let shape = shape.to_ascii_uppercase().replacen(' ', "T", 1);
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else {
        // A negative year is well-formed, and rejected as out of range.
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
    // Braces and URNs are rejected.
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
