//! The commands, one module for each verb.

pub(super) mod cancel;
pub(super) mod check_worker;
pub(super) mod completions;
pub(super) mod dead_letters;
pub(super) mod demo;
pub(super) mod describe;
pub(super) mod events;
pub(super) mod explain;
pub(super) mod export;
pub(super) mod invocations;
pub(super) mod invoke;
pub(super) mod key;
pub(super) mod operations;
pub(super) mod purge;
pub(super) mod release;
pub(super) mod result;
pub(super) mod resume;
pub(super) mod retry;
pub(super) mod serve;
pub(super) mod service;
pub(super) mod services;
pub(super) mod status;
pub(super) mod store;
pub(super) mod whoami;
pub(super) mod workers;
