//! Tools of the command line that work beside a node: `pipe`, `bench`, contexts, completions and manual pages.

mod bench;
mod completions;
mod contexts;
mod man;
mod pipe;
mod pipe_resumes;
