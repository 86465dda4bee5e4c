//! A node: an engine, usually with a listener. Its builder, and the handle of a running one.

mod builder;
mod connection_limits;
mod handle;
mod security;

pub use self::builder::NodeBuilder;
pub use self::handle::NodeHandle;

/// A node: a running server, or an engine without one.
///
/// ```no_run
/// use cidery::{Node, Result, dict};
///
/// # async fn example() -> Result<()> {
/// Node::builder()
///     .service("greet", async || dict! { "greeting": "hello" })
///     .run()
///     .await
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Node;

impl Node {
    /// Creates a builder.
    pub fn builder() -> NodeBuilder {
        NodeBuilder::default()
    }
}
