//! TLS, between real nodes and clients: what is accepted, what a failure says, certificates that are replaced.

mod clients;
mod commands;
mod configuration;
mod connections;
mod reload;
mod revocation;
mod rules;
mod workers;

use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{ClientTls, Error, Node, NodeBuilder, NodeHandle, Result, ServerTls};

use crate::support::any_port;

/// A node with TLS.
struct TlsNode {
    handle: NodeHandle,
    /// `https://127.0.0.1:PORT`.
    url: String,
}

impl TlsNode {
    async fn start(tls: ServerTls) -> Self {
        Self::start_with(tls, |builder| builder).await
    }

    async fn start_with(tls: ServerTls, change: impl FnOnce(NodeBuilder) -> NodeBuilder) -> Self {
        let builder = Node::builder().demo().tls(tls).listen(any_port());
        let handle = change(builder).start().await.unwrap();
        let url = format!("https://{}", handle.address().unwrap());
        Self { handle, url }
    }

    /// Connects, and makes a call.
    async fn call(&self, tls: ClientTls) -> Result<()> {
        call(&self.url, tls).await
    }
}

async fn call(url: &str, tls: ClientTls) -> Result<()> {
    let client = ContractClient::connect_with_tls(url, tls).await?;
    let client = client.max_attempts(1);
    client.invoke(Call::new("cidery.ping", ())).await.map(drop)
}

/// Asserts that a failure cannot be helped by a retry, and says what to do.
#[track_caller]
fn assert_tls_failed(result: Result<()>, says: &[&str]) {
    let error: Error = result.unwrap_err();
    assert_eq!(error.reason(), "TLS_FAILED", "{error:?}");
    assert!(!error.is_retryable(), "{error:?}");
    for text in says {
        assert!(error.message().contains(text), "`{text}`: {error}");
    }
}
