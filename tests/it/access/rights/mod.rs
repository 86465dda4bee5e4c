//! What callers may do: a node with keys, and callers with rights.
//!
//! Each caller of a test has a key that is made of its name.

mod control;
mod encrypted;
mod health;
mod http;
mod methods;
mod nested;
mod own;
mod services;
mod workers;

use std::net::SocketAddr;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use cidery::engine::clock::Clock;
use cidery::engine::store::{SecretHash, Store, StoredApiKey};
use cidery::model::access::{ApiKey, NamePattern, Quota, Rights, Scope};
use cidery::{Error, MemoryStore, Node, NodeBuilder, Principal};
use prost::Message;
use sha2::{Digest as _, Sha256};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

use crate::support::raw::{Answer, Raw, framed};
use crate::support::raw_worker::RawWorker;
use crate::support::{TestNode, error_of};

/// The rights to invoke some services, and to read and change the own invocations.
fn invoking(patterns: &[&str]) -> Rights {
    Rights {
        invoke: patterns.iter().map(|text| pattern(text)).collect(),
        ..Rights::default()
    }
}

fn pattern(text: &str) -> NamePattern {
    NamePattern::parse("/invoke", text).unwrap()
}

/// No right, not even over the own invocations.
fn none() -> Rights {
    Rights {
        read: Scope::None,
        control: Scope::None,
        ..Rights::default()
    }
}

/// Who calls, by the names of the test: `NAME` or `NAME@GROUP`, and after a colon another key of the same principal.
type People = Vec<(&'static str, Rights)>;

/// The credential of a caller.
fn bearer(name: &str) -> String {
    format!("Bearer cdy_{name}_{name}")
}

fn key(id: &str, rights: Rights) -> StoredApiKey {
    let name = id.split(':').next().unwrap();
    let (name, group) = match name.split_once('@') {
        Some((name, group)) => (name, Some(Principal::known(group))),
        None => (name, None),
    };
    StoredApiKey {
        key: ApiKey {
            id: id.into(),
            principal: Principal::known(name),
            group,
            rights,
            quota: Quota::default(),
            create_time: Clock::System.now(),
            created_by: None,
            expire_time: None,
            revoke_time: None,
        },
        secret_hash: SecretHash(Sha256::digest(id).into()),
    }
}

/// Starts a node that asks who calls.
async fn node_with(builder: NodeBuilder, people: People) -> TestNode {
    node_on(MemoryStore::new(), builder, people).await
}

async fn node_on(store: impl Store, builder: NodeBuilder, people: People) -> TestNode {
    for (id, rights) in people {
        store.save_api_key(key(id, rights)).await.unwrap();
    }
    TestNode::start(builder.store(store)).await
}

async fn node(people: People) -> TestNode {
    node_with(Node::builder().demo(), people).await
}

type As = InterceptedService<Channel, Named>;

/// Names the caller in each request.
#[derive(Clone)]
struct Named(&'static str);

impl Interceptor for Named {
    fn call(
        &mut self,
        mut request: tonic::Request<()>,
    ) -> Result<tonic::Request<()>, tonic::Status> {
        let credential = bearer(self.0).parse().unwrap();
        request.metadata_mut().insert("authorization", credential);
        Ok(request)
    }
}

/// A client of one caller.
async fn client(node: &TestNode, caller: &'static str) -> InvocationServiceClient<As> {
    let channel = Channel::from_shared(format!("http://{}", node.address())).unwrap();
    let channel = channel.connect().await.unwrap();
    InvocationServiceClient::with_interceptor(channel, Named(caller))
}

/// Connects as a worker.
async fn connect_as(
    address: SocketAddr,
    hello: v1::Hello,
    caller: &str,
) -> Result<RawWorker, Error> {
    RawWorker::connect_with(address, hello, Some(bearer(caller))).await
}

/// Makes a call by its path.
async fn call(node: &TestNode, caller: Option<&str>, path: &str, message: &impl Message) -> Answer {
    call_with(node, caller, path, &message.encode_to_vec(), &[]).await
}

async fn call_with(
    node: &TestNode,
    caller: Option<&str>,
    path: &str,
    message: &[u8],
    more: &[(&str, &str)],
) -> Answer {
    let mut raw = Raw::connect(node.address()).await;
    let mut headers = more.to_vec();
    let credential = caller.map(bearer);
    headers.extend(credential.iter().map(|it| ("authorization", it.as_str())));
    raw.call(path, &headers, framed(message)).await
}

/// The failure of an answer; `None` if it is a response.
fn failure(answer: &Answer) -> Option<Error> {
    let is_failure = answer.get("grpc-status").is_some_and(|code| code != "0");
    is_failure.then(|| answer.error())
}

fn invoke_async(service: &str) -> v1::InvokeAsyncRequest {
    v1::InvokeAsyncRequest {
        service: service.to_owned(),
        ..v1::InvokeAsyncRequest::default()
    }
}

/// The reason of a refused call.
fn refused<T: std::fmt::Debug>(called: Result<tonic::Response<T>, tonic::Status>) -> String {
    error_of(&called.unwrap_err()).reason().to_owned()
}

/// The CID of an accepted invocation.
async fn accept(client: &mut InvocationServiceClient<As>, service: &str) -> String {
    let accepted = client.invoke_async(invoke_async(service)).await.unwrap();
    accepted.into_inner().cid
}

fn get(cid: &str) -> v1::GetInvocationRequest {
    v1::GetInvocationRequest {
        cid: cid.to_owned(),
        view: v1::InvocationView::Full.into(),
        ..v1::GetInvocationRequest::default()
    }
}

/// An invocation once it has ended, as a caller reads it.
async fn ended(client: &mut InvocationServiceClient<As>, cid: &str) -> v1::Invocation {
    let request = v1::GetInvocationRequest {
        wait: Some(prost_types::Duration {
            seconds: 30,
            nanos: 0,
        }),
        ..get(cid)
    };
    let found = client.get_invocation(request).await.unwrap().into_inner();
    let found = found.invocation.unwrap();
    assert!(found.end_time.is_some(), "{found:?}");
    found
}
