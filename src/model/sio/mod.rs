//! Simple IO (SIO): the declared input and output of a service.
//!
//! A declaration comes from the builder in this module, from Rust types ([`rust`]), or from a worker over gRPC. Each
//! becomes an [`Sio`], which parsing, errors, JSON Schema, typed methods and the command line use. `docs/sio.md` has
//! the table of types.

mod check;
mod closest;
mod declaration;
mod element;
mod ignored;
mod infer;
mod mask;
mod policy;
mod prepare;
mod rows;
pub mod rust;
mod sample;
mod scalar;
mod schema;

pub use self::check::Checked;
#[cfg(feature = "server")]
pub(crate) use self::closest::closest_name;
pub use self::declaration::{Elements, Shape, Sio};
pub use self::element::{
    AsIs, Bool, Bytes, Csv, Date, DateTime, Decimal, Dict, DictList, Element, Float, Int, List,
    Secret, Text, Type, Uuid,
};
pub use self::ignored::{IGNORED_KEY, Ignored};
pub use self::policy::{CsvOptions, EmptyStrings, UnknownKeys};
pub use self::rows::RowCheck;
pub use crate::model::error::Violations;
