//! Faults around the store: files that vanish, damaged pages, steps of the clock, sequences of a lost future, large
//! pages of lists, directories that others can read.

mod clock;
mod damage;
mod directory;
mod pages;
mod quota;
mod sequences;
