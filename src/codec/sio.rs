//! Payloads and declarations: what comes in becomes what the declaration says, and what goes out is checked against it
//! and written in the format that was asked for.

use crate::codec::{csv, payload, text};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::payload::{Format, Payload};
use crate::model::sio::{Checked, Elements, Sio};
use crate::model::value::{Dict, Value};

/// Reads an input, in whatever form it came, and checks it.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `INPUT_INVALID` with all violations; as for [`payload::decode`].
pub fn read_input(sio: &Sio, input: Payload) -> Result<Checked> {
    let value = match (&sio.input, input) {
        (Some(declared), Payload::Document(bytes, Format::Csv)) => {
            return csv::read_checked(&bytes, sio, declared);
        }
        (None, Payload::Document(bytes, Format::Csv)) => csv::read(&bytes, sio.csv)?,
        (Some(declared), Payload::Document(bytes, Format::Text)) => {
            as_one_element(declared, text::read(&bytes)?)?
        }
        (_, input) => payload::decode(input)?,
    };
    let checked = sio.check_input(value);
    checked.map_err(|violations| violations.into_error(reason::INPUT_INVALID))
}

/// A text is the one element that is required, or the only one.
fn as_one_element(declared: &Elements, text: &str) -> Result<Value> {
    let mut required = declared.elements.iter().filter(|element| !element.optional);
    let one = match (
        required.next(),
        required.next(),
        declared.elements.as_slice(),
    ) {
        (Some(one), None, _) | (None, None, [one]) if !declared.list => one,
        _ => {
            let message = "is text, and the service takes more than one element: send JSON";
            let violation = Violation::new("", "WRONG_TYPE", message);
            return Err(Error::violations(reason::INPUT_INVALID, vec![violation]));
        }
    };
    Ok(Dict::from_iter([(one.name.as_str(), Value::from(text))]).into())
}

/// An input as it is shown to others than the handler: as it came, its secrets masked.
#[must_use]
pub fn masked_input(sio: &Sio, input: Payload) -> Payload {
    masked(sio, input, |value| sio.masked_input(value))
}

/// A response as lists show it: its secrets masked.
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
        // It may be the secret itself.
        Payload::Document(_, Format::Text) => Ok(Value::from("***")),
        encoded => payload::decode(encoded),
    };
    // What cannot be read is not shown at all.
    Payload::Value(value.map(mask).unwrap_or_default())
}

/// Takes secrets out of what a failure says of an input.
#[must_use]
pub fn redacted(sio: &Sio, error: Error) -> Error {
    let is_secret = |violation: &Violation| sio.is_secret_input(&violation.path);
    if !error.field_violations().iter().any(is_secret) {
        return error;
    }
    error.map_violations(|mut violation| {
        if is_secret(&violation) {
            violation.message = "is not what the service takes".to_owned();
        }
        violation
    })
}

/// Checks that an output has a form in a format that was asked for, as far as its declaration tells: before anything
/// is done.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID` where it has none.
pub fn check_format(sio: &Sio, asked: Option<Format>) -> Result<()> {
    let (Some(Format::Text), Some(output)) = (asked, &sio.output) else {
        return Ok(());
    };
    let required = output
        .elements
        .iter()
        .filter(|element| !element.optional)
        .count();
    if !output.list && required <= 1 {
        return Ok(());
    }
    let message =
        "the response has more than one element, which text has no form for: ask for JSON";
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
        let message = format!("the service broke its own declaration: {}", error.message());
        let broken = Error::internal(reason::OUTPUT_INVALID, message);
        let broken = error
            .info()
            .iter()
            .cloned()
            .fold(broken, |e, (key, fact)| e.with_info(key, fact));
        let violations = error.field_violations().iter().cloned();
        // The same code would break it again.
        violations.fold(broken.with_retryable(false), Error::with_violation)
    })?;
    Ok(Payload::Value(match &sio.response_elem {
        None => value,
        Some(key) => Dict::from_iter([(key.as_str(), value)]).into(),
    }))
}

/// Reads an output that was checked, wrapped and encoded: what a `Struct` had no form for is as it was again.
///
/// # Errors
///
/// As for [`check_output`], where the declaration is another one by now.
pub fn read_output(sio: &Sio, output: Payload) -> Result<Payload> {
    if sio.output.is_none() || matches!(output, Payload::Document(..)) {
        return Ok(output);
    }
    let value = sio.strip_response_elem(payload::decode(output)?);
    check_output(sio, Payload::Value(value))
}

/// Writes a checked and wrapped output as a document, where that is asked for: CSV in the declared order of columns,
/// without the wrapping.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `FORMAT_INVALID` where the format has no form for it.
pub fn write_output(sio: &Sio, output: Payload, format: Format) -> Result<Payload> {
    if format != Format::Csv || matches!(output, Payload::Document(_, Format::Csv)) {
        return payload::encode(output, format);
    }
    let value = sio.strip_response_elem(payload::decode(output)?);
    let text = csv::write(&value, sio.output.as_ref(), sio.csv)?;
    Ok(Payload::Document(text.into(), Format::Csv))
}
