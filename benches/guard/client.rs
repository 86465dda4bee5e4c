//! Calls of a client, by gRPC or as JSON over HTTP/1.1: the node is a process of its own, and its instructions alone
//! are counted.

use std::io::{BufRead as _, BufReader, Read as _, stdin};
use std::process::Child;
use std::sync::Arc;

use cidery::codec::convert::call_to_proto;
use cidery::codec::proto::v1::InvokeRequest;
use cidery::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use cidery::engine::access::{ApiKeySecret, KeyRing, NewApiKey};
use cidery::engine::clock::Clock;
use cidery::engine::store::Store as _;
use cidery::model::access::{NamePattern, Principal, Quota, Rights};
use cidery::model::call::Call;
use cidery::store::MemoryStore;
use cidery::{Dict, Node};
use tonic::Request;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Endpoint;

use crate::calls::{encoded_input, runtime};
use crate::http;

/// JSON over HTTP/1.1.
const BY_HTTP: &str = "invoke-by-http";
/// The kinds of calls by gRPC: without a credential, with one that the node does not ask for, and with the API key that
/// it asks for.
const WITHOUT_CREDENTIAL: &str = "invoke-by-grpc";
const WITH_HEADER: &str = "invoke-with-header";
const WITH_KEY: &str = "invoke-with-key";

/// Whether a kind is called by a client.
pub(crate) fn is_of_client(kind: &str) -> bool {
    [BY_HTTP, WITHOUT_CREDENTIAL, WITH_HEADER, WITH_KEY].contains(&kind)
}

/// A node for the calls of a kind. It prints its address and the key of its client, if that has one, and serves until
/// its input ends.
pub(crate) fn serve(kind: &str) {
    runtime().block_on(async {
        let store = MemoryStore::new();
        let key = match kind {
            WITH_KEY => Some(add_key(&store).await),
            WITH_HEADER => Some(add_key(&MemoryStore::new()).await),
            _ => None,
        };
        let key = key.as_ref().map_or("", ApiKeySecret::expose);
        let node = Node::builder()
            .service("echo", async |input: Dict| input)
            .store(store)
            .listen("127.0.0.1:0");
        let node = node.start().await.unwrap();
        println!("{} {key}", node.address().unwrap());
        let input_ends = || stdin().read_to_end(&mut Vec::new());
        tokio::task::spawn_blocking(input_ends)
            .await
            .unwrap()
            .unwrap();
    });
}

/// Adds the key of a caller that may invoke the service, and little else.
async fn add_key(store: &MemoryStore) -> ApiKeySecret {
    let made = Arc::new(MemoryStore::new());
    let ring = KeyRing::load(made.clone(), Clock::System).await.unwrap();
    let key = NewApiKey {
        principal: Principal::known("billing"),
        group: None,
        rights: Rights {
            invoke: vec![NamePattern::parse("/invoke", "echo*").unwrap()],
            ..Rights::default()
        },
        quota: Quota::default(),
        ttl: None,
        created_by: None,
    };
    let (_, secret) = ring.create(key).await.unwrap();
    for key in made.api_keys().await.unwrap() {
        store.save_api_key(key).await.unwrap();
    }
    secret
}

/// Calls a node that was started by [`serve`] from one connection, one call after the other.
pub(crate) fn call(node: &mut Child, kind: &str, calls: u32) {
    let mut line = String::new();
    let output = node.stdout.as_mut().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    let (address, key) = line.trim_end_matches('\n').split_once(' ').unwrap();
    if kind == BY_HTTP {
        http::call(address, calls);
        return;
    }
    let credential = (!key.is_empty()).then(|| format!("Bearer {key}"));
    let credential: Option<AsciiMetadataValue> =
        credential.map(|credential| credential.parse().unwrap());
    runtime().block_on(async {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut client = InvocationServiceClient::new(endpoint.connect().await.unwrap());
        for _ in 0..calls {
            let response = client.invoke(request(credential.clone())).await.unwrap();
            assert!(response.into_inner().output.is_some());
        }
    });
}

fn request(credential: Option<AsciiMetadataValue>) -> Request<InvokeRequest> {
    let call = Call::new("echo", encoded_input());
    let mut request = Request::new(call_to_proto(call).unwrap());
    if let Some(credential) = credential {
        request.metadata_mut().insert("authorization", credential);
    }
    request
}
