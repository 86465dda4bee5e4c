//! Single fields of requests: enums, CIDs, page sizes, optional texts.

use crate::model::error::{Error, Result, Violation, Violations, reason};
use crate::model::id::Cid;

/// The errors of the fields of a request, which are reported at once, and how many more there are.
#[derive(Debug, Default)]
pub struct FieldErrors(Vec<Error>, usize);

impl FieldErrors {
    /// The value of a field; its default where it is invalid.
    pub fn take<T: Default>(&mut self, read: Result<T>) -> T {
        read.unwrap_or_else(|error| {
            self.0.push(error);
            T::default()
        })
    }

    /// Adds a violation.
    pub fn refuse(&mut self, violation: Violation) {
        let error = Error::violations(reason::REQUEST_INVALID, vec![violation]);
        self.0.push(error);
    }

    /// Converts the enums of a list, of which up to `max` are read. A number that the enum does not have is refused,
    /// and so is the default one, with a message that asks for a `what` in its place.
    pub fn enums<E>(&mut self, path: &str, numbers: &[i32], max: usize, what: &str) -> Vec<E>
    where
        E: TryFrom<i32> + Default + PartialEq,
    {
        let mut read = Vec::new();
        for (index, number) in numbers.iter().take(max).enumerate() {
            let path = format!("{path}/{index}");
            match self.take(enum_from_proto(&path, *number).map(Some)) {
                Some(value) if value == E::default() => {
                    let message = format!("is unspecified: omit it, or name a {what}");
                    self.refuse(Violation::new(path, "UNKNOWN_VALUE", message));
                }
                value => read.extend(value),
            }
        }
        read
    }

    /// Counts invalid fields that are not listed.
    pub fn omit(&mut self, count: usize) {
        self.1 += count;
    }

    /// Whether no field is invalid.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Rejects a request that has invalid fields.
    ///
    /// # Errors
    ///
    /// The error of the field, if only one is invalid. Otherwise `INVALID_ARGUMENT` / `REQUEST_INVALID` with the
    /// violations of all.
    pub fn finish(mut self) -> Result<()> {
        let Some(last) = self.0.pop() else {
            return Ok(());
        };
        if self.0.is_empty() {
            return Err(last);
        }
        self.0.push(last);
        let mut violations = Violations::default();
        for error in &self.0 {
            error
                .violations_at("")
                .into_iter()
                .for_each(|violation| violations.add(violation));
        }
        violations.omitted += self.1;
        // Limits that are exceeded are named in the facts.
        let facts = self.0.iter().flat_map(Error::info);
        violations.reject(reason::REQUEST_INVALID).map_err(|error| {
            facts.fold(error, |error, (name, value)| {
                error.with_info(name.clone(), value)
            })
        })
    }
}

/// Converts an enum. A number that the enum does not have is refused: it must not be taken for the default.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID`.
pub fn enum_from_proto<E: TryFrom<i32>>(field: &str, number: i32) -> Result<E> {
    E::try_from(number).map_err(|_| {
        let violation = Violation::new(field, "UNKNOWN_VALUE", format!("{number} is not known"));
        Error::violations(reason::REQUEST_INVALID, vec![violation])
    })
}

/// Converts a text field without presence: `None` where it is empty.
#[must_use]
pub fn text_from_proto(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Parses a CID that the caller may leave out. `field` is its name, without a leading slash.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `CID_INVALID`.
pub fn parse_optional_cid(field: &str, text: &str) -> Result<Option<Cid>> {
    if text.is_empty() {
        return Ok(None);
    }
    Cid::parse(text).map(Some).map_err(|error| {
        let violation = Violation::new(format!("/{field}"), reason::CID_INVALID, error.message());
        error.with_violation(violation)
    })
}

/// Parses the CIDs of a list. `field` is its name, without a leading slash.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `CID_INVALID`, or `REQUEST_INVALID` with the violations of all malformed ones.
pub fn parse_cids(field: &str, texts: &[String]) -> Result<Vec<Cid>> {
    let mut errors = FieldErrors::default();
    let mut cids = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        let cid = parse_required_cid(&format!("{field}/{index}"), text);
        cids.extend(errors.take(cid.map(Some)));
    }
    errors.finish()?;
    Ok(cids)
}

/// Parses a CID that the caller has to give.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID` where it is missing, `CID_INVALID` where it is malformed.
pub fn parse_required_cid(field: &str, text: &str) -> Result<Cid> {
    parse_optional_cid(field, text)?.ok_or_else(|| {
        let violation = Violation::new(format!("/{field}"), "MISSING", "is required");
        Error::violations(reason::REQUEST_INVALID, vec![violation])
    })
}

/// Converts a page size: 0 is the default, and more than `max` is refused.
///
/// # Errors
///
/// `INVALID_ARGUMENT` / `REQUEST_INVALID`.
pub fn page_size_from_proto(size: u32, default: usize, max: usize) -> Result<usize> {
    match usize::try_from(size).unwrap_or(usize::MAX) {
        0 => Ok(default),
        size if size <= max => Ok(size),
        _ => {
            let message = format!("is at most {max}");
            let violation = Violation::new("/page_size", "TOO_LARGE", message);
            Err(Error::violations(reason::REQUEST_INVALID, vec![violation]))
        }
    }
}
