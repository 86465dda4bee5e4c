//! What an operator sees of a node: its status, its events, and both on the command line.

mod command_line;
mod events;
mod status;
