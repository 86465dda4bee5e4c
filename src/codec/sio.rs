//! Applies declarations to payloads: inputs are decoded, checked and converted; outputs are checked, wrapped and
//! encoded in the requested format.

use crate::codec::{csv, form, payload, text};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::payload::{Format, Payload};
use crate::model::sio::{Checked, Elements, Shape, Sio};
use crate::model::value::{Dict, Value};

/// Decodes an input from any form and checks it.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `INPUT_INVALID` with all violations; as for [`payload::decode`].
pub fn read_input(sio: &Sio, input: Payload) -> Result<Checked> {
    let value = match (&sio.input, input) {
        (Some(declared), Payload::Document(_, Format::Csv)) if declared.shape == Shape::Value => {
            let message = "is CSV, but the service takes a value that is not a dict: send JSON";
            let violation = Violation::new("", "WRONG_TYPE", message);
            return Err(Error::violations(reason::INPUT_INVALID, vec![violation]));
        }
        (Some(declared), Payload::Document(bytes, Format::Csv)) => {
            return csv::read_checked(&bytes, sio, declared);
        }
        (None, Payload::Document(bytes, Format::Csv)) => csv::read(&bytes, sio.csv)?,
        (Some(declared), Payload::Document(bytes, Format::Form)) => {
            return form::read_checked(&bytes, sio, declared);
        }
        (Some(declared), Payload::Document(bytes, Format::Text)) => {
            text_as_element(declared, text::read(&bytes)?)?
        }
        (_, input) => payload::decode(input)?,
    };
    let checked = sio.check_input(value);
    checked.map_err(|violations| violations.into_error(reason::INPUT_INVALID))
}

/// A text becomes the only required element, or the only element; or it is the value itself.
fn text_as_element(declared: &Elements, text: &str) -> Result<Value> {
    if declared.shape == Shape::Value {
        return Ok(text.into());
    }
    let mut required = declared.elements.iter().filter(|element| !element.optional);
    let one = match (
        required.next(),
        required.next(),
        declared.elements.as_slice(),
    ) {
        (Some(one), None, _) | (None, None, [one]) if declared.shape == Shape::Dict => one,
        _ => {
            let message = "is text, but the service takes more than one element: send JSON";
            let violation = Violation::new("", "WRONG_TYPE", message);
            return Err(Error::violations(reason::INPUT_INVALID, vec![violation]));
        }
    };
    Ok(Dict::from_iter([(one.name.as_str(), Value::from(text))]).into())
}

/// An input for display, with its secrets masked.
#[must_use]
pub fn masked_input(sio: &Sio, input: Payload) -> Payload {
    masked(sio, input, |value| sio.masked_input(value))
}

/// A response for listings, with its secrets masked.
#[must_use]
pub fn masked_output(sio: &Sio, output: Payload) -> Payload {
    masked(sio, output, |value| sio.masked_output(value))
}

fn masked(sio: &Sio, payload: Payload, mask: impl FnOnce(Value) -> Value) -> Payload {
    if !sio.has_secrets() {
        return payload;
    }
    let value = match payload {
        Payload::Document(bytes, Format::Csv) => csv::read(&bytes, sio.csv),
        // The text may be the secret itself.
        Payload::Document(_, Format::Text) => Ok(Value::from("***")),
        encoded => payload::decode(encoded),
    };
    // A malformed payload is not shown at all.
    Payload::Value(value.map(mask).unwrap_or_default())
}

/// Redacts secrets in the violations of an input.
#[must_use]
pub fn redacted(sio: &Sio, error: Error) -> Error {
    let is_secret = |violation: &Violation| sio.is_secret_input(&violation.path);
    if !error.field_violations().iter().any(is_secret) {
        return error;
    }
    error.map_violations(|mut violation| {
        if is_secret(&violation) {
            violation.message = "is not a valid value".to_owned();
        }
        violation
    })
}

/// Checks before the invocation that the requested format can represent the declared output.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID` where it cannot.
pub fn check_format(sio: &Sio, requested: Option<Format>) -> Result<()> {
    let (Some(Format::Text), Some(output)) = (requested, &sio.output) else {
        return Ok(());
    };
    let required = output
        .elements
        .iter()
        .filter(|element| !element.optional)
        .count();
    if output.shape != Shape::List && required <= 1 {
        return Ok(());
    }
    let message =
        "the response has more than one element, which text cannot represent: ask for JSON";
    Err(Error::invalid_argument(reason::FORMAT_INVALID, message))
}

/// Checks an output and wraps it.
///
/// # Errors
///
/// `INTERNAL` / `OUTPUT_INVALID` with all violations.
pub fn check_output(sio: &Sio, output: Payload) -> Result<Payload> {
    let value = match output {
        Payload::Document(bytes, Format::Csv) => csv::read(&bytes, sio.csv)?,
        output => payload::decode(output)?,
    };
    let value = sio.check_output(value).map_err(|violations| {
        let error = violations.into_error(reason::OUTPUT_INVALID);
        let message = format!(
            "the output does not match the declaration of the service: {}",
            error.message()
        );
        let broken = Error::internal(reason::OUTPUT_INVALID, message);
        let broken = error
            .info()
            .iter()
            .cloned()
            .fold(broken, |e, (key, fact)| e.with_info(key, fact));
        let violations = error.field_violations().iter().cloned();
        // A retry runs the same code.
        violations.fold(broken.with_retryable(false), Error::with_violation)
    })?;
    Ok(Payload::Value(match &sio.response_elem {
        None => value,
        Some(key) => Dict::from_iter([(key.as_str(), value)]).into(),
    }))
}

/// Restores an output that was checked, wrapped and encoded, including types that `Struct` cannot represent.
///
/// # Errors
///
/// As for [`check_output`], where the declaration has changed since.
pub fn read_output(sio: &Sio, output: Payload) -> Result<Payload> {
    if sio.output.is_none() || matches!(output, Payload::Document(..)) {
        return Ok(output);
    }
    let value = sio.strip_response_elem(payload::decode(output)?);
    check_output(sio, Payload::Value(value))
}

/// Encodes a checked and wrapped output in a format. CSV has the columns in declaration order, without the wrapping.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID` where the format cannot represent it.
pub fn write_output(sio: &Sio, output: Payload, format: Format) -> Result<Payload> {
    if format != Format::Csv || matches!(output, Payload::Document(_, Format::Csv)) {
        return payload::encode(output, format);
    }
    let value = sio.strip_response_elem(payload::decode(output)?);
    let text = csv::write(&value, sio.output.as_ref(), sio.csv)?;
    Ok(Payload::Document(text.into(), Format::Csv))
}
