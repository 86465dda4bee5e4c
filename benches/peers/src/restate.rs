//! Restate with a service of its SDK: `send` through the ingress, and `attach` to the outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use restate_sdk::prelude::*;
use tokio::net::TcpListener;

use crate::Until;
use crate::rounds::{CUSTOMER, System};
use crate::server::{Server, free_port, listens};

/// Connections of the callers, as many as the bench has to Cidery.
const CONNECTIONS: usize = 4;
/// How often a registration is tried while the server starts.
const TRIES: usize = 300;

type Http = Client<HttpConnector, Full<Bytes>>;

pub(crate) struct Restate {
    clients: Vec<Http>,
    ingress: String,
    ended: Arc<AtomicUsize>,
    until: Until,
    server: Server,
}

struct Echo(Arc<AtomicUsize>);

#[service]
impl Echo {
    #[handler]
    async fn echo(
        &self,
        _ctx: Context<'_>,
        input: Json<serde_json::Value>,
    ) -> Result<Json<serde_json::Value>, std::convert::Infallible> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(input)
    }
}

impl Restate {
    pub(crate) async fn start(until: Until) -> anyhow::Result<Self> {
        let folder = Server::folder()?;
        let (ingress, admin, fabric) = (free_port()?, free_port()?, free_port()?);
        let server = Server::start("CIDERY_RESTATE", &folder, |command| {
            let on = |port: u16| format!("127.0.0.1:{port}");
            command
                .args(["--no-logo", "--listen-mode=tcp", "--node-name=bench"])
                .arg("--base-dir")
                .arg(folder.join("data"))
                .env("RESTATE_INGRESS__BIND_ADDRESS", on(ingress))
                .env("RESTATE_ADMIN__BIND_ADDRESS", on(admin))
                .env("RESTATE_BIND_ADDRESS", on(fabric))
                // It still asks for newer versions once, and does without an answer.
                .env("RESTATE_DISABLE_TELEMETRY", "true")
                .env("RESTATE_LOG_FILTER", "warn");
        })?;
        let ended = Arc::default();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let worker = listener.local_addr()?;
        let endpoint = Endpoint::builder().bind(Echo(Arc::clone(&ended))).build();
        tokio::spawn(HttpServer::new(endpoint).serve(listener));
        listens(ingress).await?;
        listens(admin).await?;
        let clients: Vec<Http> = (0..CONNECTIONS).map(|_| client()).collect();
        let body = format!(r#"{{"uri":"http://{worker}"}}"#);
        let uri = format!("http://127.0.0.1:{admin}/deployments");
        register(&clients[0], &uri, &body).await?;
        let restate = Self {
            clients,
            ingress: format!("http://127.0.0.1:{ingress}"),
            ended,
            until,
            server,
        };
        // The ingress learns of a deployment a little later.
        let mut tries = 0..TRIES;
        while let Err(error) = restate.call(0).await {
            tries.next().ok_or(error)?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        while restate.ended.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        restate.ended.store(0, Ordering::Relaxed);
        Ok(restate)
    }
}

impl System for Restate {
    fn server(&self) -> u32 {
        self.server.id()
    }

    async fn call(&self, caller: usize) -> anyhow::Result<()> {
        let client = &self.clients[caller % CONNECTIONS];
        let send = format!("{}/Echo/echo/send", self.ingress);
        let accepted = request(client, Method::POST, &send, CUSTOMER).await?;
        if self.until == Until::Outcome {
            let accepted: serde_json::Value = serde_json::from_slice(&accepted)?;
            let id = accepted["invocationId"].as_str().context("no id")?;
            let attach = format!("{}/restate/invocation/{id}/attach", self.ingress);
            let outcome = request(client, Method::GET, &attach, "").await?;
            anyhow::ensure!(outcome.len() > 100, "the outcome has no dict");
        }
        Ok(())
    }

    /// When their handlers have run. Their outcomes are recorded a little later.
    fn ended(&self) -> Option<usize> {
        Some(self.ended.load(Ordering::Relaxed))
    }
}

/// Over HTTP/2, on a connection of its own.
fn client() -> Http {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build(connector)
}

async fn register(client: &Http, uri: &str, body: &str) -> anyhow::Result<()> {
    let mut tries = 0..TRIES;
    loop {
        match request(client, Method::POST, uri, body).await {
            Ok(_) => return Ok(()),
            Err(error) => tries.next().ok_or(error)?,
        };
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn request(client: &Http, method: Method, uri: &str, body: &str) -> anyhow::Result<Bytes> {
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::copy_from_slice(body.as_bytes())))?;
    let response = client.request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    anyhow::ensure!(status.is_success(), "{uri}: {status}: {body:?}");
    Ok(body)
}
