//! The web console of a node: its page and files, and the sessions of those who log in.

mod assets;
mod lists;
mod modules;
mod sessions;

use std::net::SocketAddr;

use cidery::{Node, NodeBuilder};

use crate::plain_http::client::{Answer, call};
use crate::support::TestNode;

/// What a browser accepts where someone opens an address.
const NAVIGATION: &str = "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn node(builder: NodeBuilder) -> TestNode {
    TestNode::start(builder).await
}

async fn demo() -> TestNode {
    node(Node::builder().demo()).await
}

async fn get(address: SocketAddr, path: &str, headers: &[&str]) -> Answer {
    call(address, &format!("GET {path}"), headers, "").await
}
