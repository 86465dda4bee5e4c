//! A dump of the data directory contains nothing of what callers sent and got.

use std::path::Path;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::operation_action::Action;
use cidery::codec::struct_pb;
use cidery::engine::store::Store as _;
use cidery::model::batch::Batch;
use cidery::model::call::Call;
use cidery::model::error::{Detail, Violation};
use cidery::model::operation::OperationId;
use cidery::sio::{self, Sio};
use cidery::store::StoreKeys;
use cidery::{
    Context, Definition, Dict, Error, Format, Metadata, Node, Payload, Progress, Reply, Result,
    RetryPolicy, dict,
};

use tokio::time::timeout;

use super::{KEY, OTHER_KEY, opened, opened_with, refused};
use crate::support::{Folder, PATIENCE, TestNode, document, ended};

/// A text for each place that content of callers, handlers and operators gets to.
pub(super) const CORPUS: &[&str] = &[
    "q7-input",
    "q7-secret",
    "q7-document",
    "q7-sync-input",
    "q7-member-input",
    "q7-metadata",
    "q7-progress-text",
    "q7-progress-value",
    "q7-item",
    "q7-failure",
    "q7-violation",
    "q7-fact",
    "q7-detail",
    "q7-trace",
    "q7-output",
    "q7-answer-metadata",
    "q7-follow-up",
    "q7-callback",
    "q7-cancel-reason",
    "q7-patched-input",
    "q7-operation-patch",
    "q7-operation-patch-json",
    "q7-operation-metadata",
    "q7-operation-text",
    "q7-operation-reason",
];

/// Reports all that an attempt can, and fails the first time.
async fn works(ctx: Context, _input: Dict) -> Result<Reply> {
    ctx.progress(Progress::note("q7-progress-text").value("q7-progress-value"));
    ctx.emit(dict! { "item": "q7-item" }).await?;
    if ctx.attempt() == 1 {
        let detail = Detail {
            type_url: "type.googleapis.com/google.protobuf.StringValue".to_owned(),
            value: "\n\u{9}q7-detail".into(),
        };
        return Err(Error::unavailable("NOT_YET", "q7-failure")
            .with_violation(Violation::new("/a", "WRONG", "q7-violation"))
            .with_info("fact", "q7-fact")
            .with_detail(detail)
            .with_trace("q7-trace"));
    }
    let follow_up = dict! { "text": "q7-follow-up" };
    ctx.invoke_async("a.sink", follow_up).with_outcome().await?;
    Ok(Reply {
        payload: Payload::from(dict! { "text": "q7-output" }),
        metadata: Metadata::from_iter([("answer", "q7-answer-metadata")]),
    })
}

async fn waits(ctx: Context) -> Result<()> {
    ctx.progress(Progress::at(0.5));
    std::future::pending().await
}

async fn fails() -> Result<()> {
    Err(Error::failed_precondition("BROKEN", "q7-callback"))
}

/// A node that has done all of it.
pub(super) async fn node(folder: &Folder, keys: Option<&str>) -> TestNode {
    let keys = keys.map(|keys| StoreKeys::parse(keys).unwrap());
    let echo = Definition::new("a.sink", async |input: Dict| input).unwrap();
    let secret = Definition::new("a.secret", async |input: Dict| input).unwrap();
    let secret = secret.sio(Sio::new().input(sio::Secret("token")));
    let builder = Node::builder()
        .store(opened_with(folder, keys).unwrap())
        .service("a.works", works)
        .service("a.waits", waits)
        .service("a.fails", fails)
        .register(echo)
        .register(secret);
    let node = TestNode::start(builder).await;
    invoke_all(&node).await;
    operate(&node).await;
    node.client.backup_store("copy", false).await.unwrap();
    node
}

async fn invoke_all(node: &TestNode) {
    let client = &node.client;
    let accept = async |call: Call| client.invoke_async(call).await.unwrap().cid;
    let mut call = Call::new("a.works", dict! { "text": "q7-input" });
    call.metadata = Some(Metadata::from_iter([("order", "q7-metadata")]).into());
    call.durable().retry_policy = Some(RetryPolicy {
        initial_interval: Duration::ZERO,
        ..RetryPolicy::default()
    });
    call.durable().callbacks = vec!["a.sink".to_owned()];
    let done = accept(call.clone()).await;
    // Its last failure, progress and events stay in a pending row.
    call.durable().retry_policy = Some(RetryPolicy {
        initial_interval: Duration::from_secs(3_600),
        max_interval: Duration::from_secs(3_600),
        ..RetryPolicy::default()
    });
    let retried_later = accept(call).await;
    let secret = Call::new("a.secret", dict! { "token": "q7-secret" });
    let secret = accept(secret).await;
    let text = document(r#"{"text":"q7-document"}"#, Format::Json);
    let text = accept(Call::new("a.sink", text)).await;
    let mut failed = Call::new("a.fails", ());
    failed.durable().failure_callbacks = vec!["a.sink".to_owned()];
    let failed = accept(failed).await;
    let member = Call::new("a.sink", dict! { "text": "q7-member-input" });
    let group = client
        .invoke_batch(Batch::of([member]).unwrap())
        .await
        .unwrap();
    let mut sync = Call::new("a.sink", dict! { "text": "q7-sync-input" });
    sync.durable().idempotency_key = Some("order 7".to_owned());
    client.invoke(sync).await.unwrap();
    for cid in [done, secret, text, failed, group.cid] {
        ended(client, cid).await;
    }
    let patched = Payload::from(dict! { "text": "q7-patched-input" });
    client.retry_with(failed, patched).await.unwrap();
    let waiting = accept(Call::new("a.waits", ())).await;
    let is_attempted = |found: &v1::Invocation| {
        found.state() == v1::State::Running || found.pending_reason() == v1::PendingReason::Backoff
    };
    for cid in [waiting, retried_later] {
        let attempted = async {
            let found = async || client.invocation(cid, Duration::ZERO).await.unwrap();
            while !is_attempted(&found().await) {}
        };
        timeout(PATIENCE, attempted).await.unwrap();
    }
    client
        .cancel_for(waiting, "q7-cancel-reason", false)
        .await
        .unwrap();
    ended(client, waiting).await;
}

/// Operations that match nothing are stored as well.
async fn operate(node: &TestNode) {
    let input_patch =
        struct_pb::encode_value(&dict! { "text": "q7-operation-patch" }.into()).unwrap();
    let metadata = ("order".to_owned(), "q7-operation-metadata".to_owned());
    let actions = [
        Action::Retry(v1::RetryAction {
            input_patch: Some(input_patch),
            ..v1::RetryAction::default()
        }),
        Action::Retry(v1::RetryAction {
            input_patch_json: r#"{"text": "q7-operation-patch-json"}"#.to_owned(),
            ..v1::RetryAction::default()
        }),
        Action::Cancel(v1::CancelAction {
            reason: "q7-operation-reason".to_owned(),
        }),
    ];
    for action in actions {
        let request = v1::StartOperationRequest {
            action: Some(v1::OperationAction {
                action: Some(action),
            }),
            filter: Some(v1::InvocationFilter {
                metadata: [metadata.clone()].into(),
                failure_text: "q7-operation-text".to_owned(),
                ..v1::InvocationFilter::default()
            }),
            ..v1::StartOperationRequest::default()
        };
        let started = node.client.start_operation(request).await.unwrap();
        let id = OperationId::parse(&started.operation.unwrap().id).unwrap();
        let ended = async {
            while node
                .client
                .operation(id, true)
                .await
                .unwrap()
                .end_time
                .is_none()
            {}
        };
        timeout(PATIENCE, ended).await.unwrap();
    }
}

/// The texts that are in the files of a directory, those of its folders included.
fn found(directory: &Path, texts: &[&'static str]) -> Vec<&'static str> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(self::found(&path, texts)),
            false => {
                let bytes = std::fs::read(&path).unwrap();
                let content = String::from_utf8_lossy(&bytes);
                found.extend(texts.iter().filter(|text| content.contains(**text)));
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

fn sorted(texts: &[&'static str]) -> Vec<&'static str> {
    let mut sorted = texts.to_vec();
    sorted.sort_unstable();
    sorted
}

/// Without encryption each text is on disk, so that with it none is left out.
#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_data_directory_contains_no_text_of_the_corpus() {
    let (plain, encrypted) = (Folder::new("dump"), Folder::new("dump"));
    let (plain_node, encrypted_node) =
        tokio::join!(node(&plain, None), node(&encrypted, Some(KEY)));
    assert_eq!(found(plain.path(), CORPUS), sorted(CORPUS));
    assert_eq!(found(encrypted.path(), CORPUS), [] as [&str; 0]);
    // Names and keys stay readable.
    let readable = ["a.works", "order 7", "NOT_YET"];
    assert_eq!(found(encrypted.path(), &readable), sorted(&readable));
    let files: Vec<_> = [
        "cidery.db",
        "cidery.db-wal",
        "cidery.db-shm",
        "backups/copy",
    ]
    .into_iter()
    .filter(|name| encrypted.path().join(name).exists())
    .collect();
    assert_eq!(files.len(), 4, "{files:?}");
    encrypted_node.handle.stop().await;
    plain_node.handle.stop().await;
    assert_eq!(found(encrypted.path(), CORPUS), [] as [&str; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_its_key_all_is_found_and_without_it_a_copy_is_useless() {
    let (folder, stolen) = (Folder::new("dump"), Folder::new("dump"));
    let node = node(&folder, Some(KEY)).await;
    let listed = async |filter: &str| {
        let request = v1::ListInvocationsRequest {
            filter_expression: filter.to_owned(),
            ..v1::ListInvocationsRequest::default()
        };
        let listed = node.stub.clone().list_invocations(request).await.unwrap();
        let services = listed.into_inner().invocations.into_iter();
        services.map(|one| one.service).collect::<Vec<_>>()
    };
    assert_eq!(listed("failure_message : Q7-FAILURE").await, ["a.works"]);
    assert_eq!(
        listed("failure_message : q7-cancel-reason").await,
        ["a.waits"]
    );
    let both = listed("metadata.order = q7-metadata AND service = a.works").await;
    assert_eq!(both, ["a.works", "a.works"]);
    assert_eq!(
        listed("failure_message : q7-output").await,
        [] as [String; 0]
    );
    let copy = folder.path().join("backups/copy");
    std::fs::copy(copy, stolen.path().join("cidery.db")).unwrap();
    for keys in [None, Some(OTHER_KEY)] {
        let error = refused(&stolen, keys);
        let named = (error.reason(), error.fact("key_ids"));
        assert_eq!(named, ("STORE_KEY_MISSING", Some("k1")));
        for text in ["`k1`", "--store-key-file"] {
            assert!(error.message().contains(text), "{error}");
        }
    }
    let same_id = OTHER_KEY.replace("k2:", "k1:");
    assert_eq!(
        refused(&stolen, Some(&same_id)).reason(),
        "STORE_KEY_INVALID"
    );
    // A start that was refused has changed nothing.
    let restored = opened(&stolen, KEY);
    assert_eq!(
        restored.first_generation() >> 16,
        1,
        "it is the first one of a copy"
    );
    node.handle.stop().await;
}
