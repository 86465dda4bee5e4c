//! The web console: a page, with its modules and styles, that calls the node as any other client does.
//!
//! Its files are embedded when the crate is built (`build/console.rs`). `edge/http` answers requests with them: they
//! tell nothing, and need no credential; what they show is read with that of the person in front of the browser
//! (`edge/http/session.rs`).

mod answer;
mod assets;
mod options;

pub(in crate::edge) use self::answer::{Found, find, isolate_console};
pub use self::options::ConsoleOptions;
