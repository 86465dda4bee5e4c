//! Attacks, by class: what one peer sends must not stop the node, nor others' calls.

mod budgets;
mod capacity;
mod cost;
mod document;
mod frames;
mod lists;
mod memory;
mod open_files;
mod overload;
mod running_memory;
mod silence;
mod store;
mod terminal;
mod transport;
mod workers;
