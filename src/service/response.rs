//! Responses: access by index or dotted path, or conversion to a type.

use std::ops::Index;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::codec::{payload, text};
use crate::model::error::{Error, Result, Violation, reason};
use crate::model::id::Cid;
use crate::model::metadata::Metadata;
use crate::model::payload::{Format, Payload, Reply};
use crate::model::value::{Value, from_value};

/// The response of a service: a value, or the text of a CSV or text document where one was requested.
///
/// ```
/// # use cidery::{Context, Result, dict};
/// # async fn handler(ctx: Context) -> Result<()> {
/// let response = ctx.invoke("invoking.my-service2", dict! { "cust_id": 1 }).await?;
/// let by_index = &response["my_response_elem"]["cust_name"];
/// let by_path: String = response.at("my_response_elem.cust_name")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Response {
    cid: Cid,
    value: Value,
    document: Option<Bytes>,
    metadata: Metadata,
}

impl Response {
    /// Reads a reply.
    ///
    /// # Errors
    ///
    /// Where the reply is a malformed document.
    pub fn new(cid: Cid, reply: Reply) -> Result<Self> {
        let document = match &reply.payload {
            Payload::Document(document, _) => Some(document.clone()),
            Payload::Value(_) | Payload::Struct(_) | Payload::Any(_) => None,
        };
        Ok(Self {
            cid,
            document,
            value: match reply.payload {
                // They stay text: cells have no types, and the service chooses the delimiter.
                Payload::Document(bytes, Format::Csv | Format::Text | Format::Form) => {
                    text::read(&bytes)?.into()
                }
                payload => payload::decode(payload)?,
            },
            metadata: reply.metadata,
        })
    }

    /// The CID of the invocation.
    #[must_use]
    pub fn cid(&self) -> Cid {
        self.cid
    }

    /// The response as a value.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Converts it to a value.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.value
    }

    /// The response as a document, where one was requested with `response_format`.
    #[must_use]
    pub fn document(&self) -> Option<&[u8]> {
        self.document.as_deref()
    }

    /// The metadata of the handler.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The response as a type.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `RESPONSE_MISMATCH` with a violation where it does not fit the type.
    pub fn parse<T: DeserializeOwned>(self) -> Result<T> {
        from_value(self.value).map_err(|error| mismatch(&error))
    }

    /// The value at a dotted path, converted to a type: `response.at("my_response_elem.cust_name")?`.
    ///
    /// # Errors
    ///
    /// `INTERNAL` / `RESPONSE_MISMATCH` with a violation where it is missing or does not fit the type.
    pub fn at<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let value = self.value.at(path).ok_or_else(|| {
            let violation = Violation::new(pointer(path), "MISSING", "is missing");
            mismatch(&Error::violations(reason::INPUT_INVALID, vec![violation]))
        })?;
        from_value(value.clone()).map_err(|error| mismatch(&error))
    }
}

/// `INTERNAL` / `RESPONSE_MISMATCH`: neither is it the fault of those who called the handler that made this call, nor
/// would a retry help.
fn mismatch(error: &Error) -> Error {
    let message = format!(
        "the response is not of the expected type: {}",
        error.message()
    );
    let violations = error.field_violations().iter().cloned();
    let mismatch = Error::internal(reason::RESPONSE_MISMATCH, message).with_retryable(false);
    violations.fold(mismatch, Error::with_violation)
}

fn pointer(path: &str) -> String {
    let mut pointer = String::new();
    for segment in path.split('.') {
        crate::model::error::push_segment(&mut pointer, segment);
    }
    pointer
}

impl Index<&str> for Response {
    type Output = Value;

    /// The value of a key; null where it is missing.
    fn index(&self, key: &str) -> &Value {
        &self.value[key]
    }
}

impl Index<usize> for Response {
    type Output = Value;

    /// The item of a list; null where it is missing.
    fn index(&self, index: usize) -> &Value {
        &self.value[index]
    }
}
