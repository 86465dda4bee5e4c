//! NATS: its server, and core request and reply through a worker. Nothing is stored: a message without a receiver is
//! lost.

use std::path::Path;

use async_nats::Client;
use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::rounds::{CUSTOMER, System};
use crate::server::{Server, free_port, listens};

/// Connections of the callers, as many as the bench has to Cidery.
const CONNECTIONS: usize = 4;

/// A server, with more lines in its configuration.
pub(crate) async fn server(folder: &Path, more: &str) -> anyhow::Result<(Server, u16)> {
    let (port, file) = (free_port()?, folder.join("nats.conf"));
    std::fs::write(&file, format!("listen: \"127.0.0.1:{port}\"\n{more}\n"))?;
    let server = Server::start("CIDERY_NATS", folder, |command| {
        command.arg("--config").arg(&file);
    })?;
    listens(port).await?;
    Ok((server, port))
}

pub(crate) async fn connect(port: u16) -> anyhow::Result<Client> {
    Ok(async_nats::connect(format!("127.0.0.1:{port}")).await?)
}

/// Connections for callers.
pub(crate) async fn clients(port: u16) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(connect(port).await?);
    }
    Ok(clients)
}

/// Request and reply.
pub(crate) struct Request {
    clients: Vec<Client>,
    server: Server,
}

impl Request {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (server, port) = server(&Server::folder()?, "").await?;
        let worker = connect(port).await?;
        let mut requests = worker.subscribe("echo").await?;
        worker.flush().await?;
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                if let Some(reply) = request.reply {
                    // As the other workers do: read, and written again.
                    let value: serde_json::Value = serde_json::from_slice(&request.payload)?;
                    worker
                        .publish(reply, serde_json::to_vec(&value)?.into())
                        .await?;
                }
            }
            anyhow::Ok(())
        });
        let clients = clients(port).await?;
        Ok(Self { clients, server })
    }
}

impl System for Request {
    fn server(&self) -> u32 {
        self.server.id()
    }

    async fn call(&self, caller: usize) -> anyhow::Result<()> {
        let client = &self.clients[caller % CONNECTIONS];
        let payload = Bytes::from_static(CUSTOMER.as_bytes());
        let response = client.request("echo", payload).await?;
        anyhow::ensure!(response.payload.len() > 100, "the response has no dict");
        Ok(())
    }

    fn ended(&self) -> Option<usize> {
        None
    }
}
