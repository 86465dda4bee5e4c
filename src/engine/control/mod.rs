//! Control: what of each service may start. Operators decide it; calls, acceptance and schedulers look here.

pub(in crate::engine) mod gate;
pub(in crate::engine) mod gates;
mod refusal;
