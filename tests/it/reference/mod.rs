//! The reference in `docs/reference/`: made from the contract and from the help of the program, and compared with the
//! committed pages. `scripts/docs --update` writes them anew.

mod commands;
mod contract;
mod help_text;
mod mentions;
mod proto;
