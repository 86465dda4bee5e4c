//! What users of the command line read and type: help, messages, what it waits for, input, addresses, samples, exports.

mod export;
mod help;
mod input;
mod messages;
mod node;
mod samples;
mod waiting;
