//! The conformance run of a worker: a scripted node that a worker connects to, and that checks each rule of the worker
//! protocol which can be seen from outside.
//!
//! ```text
//!  worker ─▶ edge::conformance (connections) ─▶ DialService ─▶ Port ─▶ Run (accepts, cuts, refuses) ─▶ checks
//! ```
//!
//! The services of the worker are really called, with the sample inputs of their declarations.

mod checks;
mod dispatches;
mod port;
mod report;
mod rules;
mod run;
mod script;
mod stream;

pub(crate) use self::port::{DialService, Port};
pub(crate) use self::report::{CheckReport, Verdict};
pub(crate) use self::script::{Options, check_worker};
