//! The integration tests: one binary, a file for each promise.
#![cfg(test)]

mod support;

mod bad_input;
mod cancellation;
mod chaos;
mod checks;
mod cli;
mod compiler;
mod corpus;
mod deadlines;
mod declared;
mod discovery;
mod failed_sync;
mod formats;
mod full_disk;
mod fuzz;
mod handlers;
mod health;
mod hooks;
mod interop;
mod invoke;
mod invoke_async;
mod languages;
mod lasting;
mod limits;
mod manage;
mod manage_cli;
mod node;
mod overdue;
mod power_loss;
mod races;
mod readme;
mod recovery;
mod reflection;
mod result_stream;
mod retries;
mod round_trips;
mod sio;
mod sqlite_store;
mod store_contract;
mod terms;
mod tidy;
mod typed;
mod worker_stream;
mod workers;
