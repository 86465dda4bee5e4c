//! A test kit: a whole node in memory with a manual clock, and handlers without a node.
//!
//! ```
//! use std::time::Duration;
//!
//! use cidery::testing::{Run, TestNode};
//! use cidery::{Context, Node, Result, dict};
//!
//! async fn greet(ctx: Context) -> Result<String> {
//!     let found = ctx.invoke("crm.lookup", dict! { "cust_id": 1 }).await?;
//!     Ok(format!("hello {}", found.at::<String>("name")?))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<()> {
//! // The handler alone, with a mock response for the service that it invokes.
//! let result = Run::of(greet)?
//!     .answer("crm.lookup", |_| Ok(dict! { "name": "Ann" }.into()))
//!     .run(dict! {})
//!     .await;
//! assert_eq!(result.response()?.parse::<String>()?, "hello Ann");
//!
//! // A whole node: an invocation that is due in an hour starts when the clock is advanced.
//! let lookup = async || dict! { "name": "Ann" };
//! let builder = Node::builder().service("greet", greet).service("crm.lookup", lookup);
//! let node = TestNode::start(builder).await?;
//! let hour = Duration::from_secs(3_600);
//! let cid = node.client().invoke_async("greet", dict! {}).delay(hour).await?;
//! node.clock().advance(hour);
//! assert_eq!(node.outcome(cid).await?.parse::<String>()?, "hello Ann");
//! # Ok(())
//! # }
//! ```

mod platform;
mod run;
mod test_node;

pub use self::platform::PlatformCall;
pub use self::run::{Run, RunResult};
pub use self::test_node::TestNode;
pub use crate::engine::clock::ManualClock;
