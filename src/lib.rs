//! Call any service by name, now or in the background, over gRPC, from any language.

pub mod model;
pub mod codec;

pub use crate::model::error::{Error, Kind, Result, Violation};
pub use crate::model::id::{Cid, ServiceName};
pub use crate::model::invocation::Progress;
pub use crate::model::metadata::Metadata;
pub use crate::model::value::{Dict, Value, from_value, to_value};
