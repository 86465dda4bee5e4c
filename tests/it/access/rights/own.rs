//! Another principal's invocation is as unknown: it is not read, listed, followed, changed, completed or repeated.

use cidery::codec::proto::v1;
use cidery::codec::proto::v1::invocation_service_client::InvocationServiceClient;
use cidery::codec::proto::v1::operation_service_client::OperationServiceClient;
use cidery::model::access::{Rights, Scope};
use cidery::{Context, Error, Node, dict};
use tonic::transport::Channel;

use super::{
    As, Named, accept, client, ended, get, invoke_async, invoking, node, node_with, refused,
};
use crate::support::{PATIENCE, TestNode, collect, follow, names};

fn scoped(read: Scope, control: Scope) -> Rights {
    Rights {
        read,
        control,
        ..invoking(&["*"])
    }
}

fn list(filter: v1::InvocationFilter) -> v1::ListInvocationsRequest {
    v1::ListInvocationsRequest {
        filter: Some(filter),
        ..v1::ListInvocationsRequest::default()
    }
}

/// A node, and two callers who may invoke everything, and read and change what is their own.
struct Two {
    node: TestNode,
    anna: InvocationServiceClient<As>,
    berta: InvocationServiceClient<As>,
}

impl Two {
    async fn start() -> Self {
        let everything = || invoking(&["*"]);
        let node = node(vec![("anna", everything()), ("berta", everything())]).await;
        Self {
            anna: client(&node, "anna").await,
            berta: client(&node, "berta").await,
            node,
        }
    }
}

/// Purges an invocation; the reason why it is not, and its state as far as that is told.
async fn purge(caller: &mut InvocationServiceClient<As>, cid: &str) -> (Option<String>, v1::State) {
    let request = v1::PurgeInvocationsRequest {
        cids: vec![cid.to_owned()],
        ..v1::PurgeInvocationsRequest::default()
    };
    let purged = caller.purge_invocations(request).await.unwrap();
    let change = purged.into_inner().changes.remove(0);
    let state = change.state();
    (change.failure.map(|failure| failure.reason), state)
}

#[tokio::test]
async fn another_principals_invocation_is_unknown() {
    let Two {
        node,
        mut anna,
        mut berta,
    } = Two::start().await;
    let cid = accept(&mut anna, "cidery.ping").await;
    let found = ended(&mut anna, &cid).await;
    assert_eq!(
        (found.principal.as_str(), found.acting_principal.as_str()),
        ("anna", "anna")
    );
    // As one that never existed.
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let refusal = async |cid: &str| {
        let status = client(&node, "berta")
            .await
            .get_invocation(get(cid))
            .await
            .unwrap_err();
        status.message().replace(cid, "CID")
    };
    assert_eq!(refusal(&cid).await, refusal(unknown).await);
    let stream = berta.stream_results(follow(&cid)).await.unwrap();
    assert_eq!(names(&collect(stream.into_inner()).await), ["not_found"]);
    let stream = anna.stream_results(follow(&cid)).await.unwrap();
    assert_eq!(
        names(&collect(stream.into_inner()).await),
        ["accepted", "started", "succeeded"]
    );
    let listed = berta.list_invocations(list(v1::InvocationFilter::default()));
    assert!(listed.await.unwrap().into_inner().invocations.is_empty());
    let listed = berta.list_invocations(list(v1::InvocationFilter {
        principals: vec!["anna".to_owned()],
        ..v1::InvocationFilter::default()
    }));
    assert!(listed.await.unwrap().into_inner().invocations.is_empty());
    let counted = berta.summarize_invocations(v1::SummarizeInvocationsRequest::default());
    assert_eq!(counted.await.unwrap().into_inner().total, 0);
    let counted = anna.summarize_invocations(v1::SummarizeInvocationsRequest::default());
    assert_eq!(counted.await.unwrap().into_inner().total, 1);
    let (refused, state) = purge(&mut berta, &cid).await;
    assert_eq!(refused.as_deref(), Some("CID_UNKNOWN"));
    assert_eq!(state, v1::State::Unspecified);
}

/// Purged, it is still unknown to others.
#[tokio::test]
async fn another_principals_purged_invocation_is_unknown() {
    let Two {
        node: _node,
        mut anna,
        mut berta,
    } = Two::start().await;
    let cid = accept(&mut anna, "cidery.ping").await;
    ended(&mut anna, &cid).await;
    assert_eq!(purge(&mut anna, &cid).await.0, None);
    assert_eq!(
        refused(anna.get_invocation(get(&cid)).await),
        "RESULT_EXPIRED"
    );
    assert_eq!(
        refused(berta.get_invocation(get(&cid)).await),
        "CID_UNKNOWN"
    );
    let again = v1::InvokeAsyncRequest {
        cid,
        ..invoke_async("cidery.ping")
    };
    assert_eq!(
        refused(anna.invoke_async(again.clone()).await),
        "RESULT_EXPIRED"
    );
    assert_eq!(refused(berta.invoke_async(again).await), "CID_IN_USE");
}

#[tokio::test]
async fn another_principal_changes_nothing() {
    let Two {
        node: _node,
        mut anna,
        mut berta,
    } = Two::start().await;
    let later = v1::InvokeAsyncRequest {
        start: Some(v1::invoke_async_request::Start::Delay(
            prost_types::Duration {
                seconds: 3_600,
                nanos: 0,
            },
        )),
        ..invoke_async("cidery.ping")
    };
    let cid = anna.invoke_async(later).await.unwrap().into_inner().cid;
    for request in [
        v1::CancelInvocationsRequest {
            cids: vec![cid.clone()],
            ..v1::CancelInvocationsRequest::default()
        },
        v1::CancelInvocationsRequest {
            all: true,
            ..v1::CancelInvocationsRequest::default()
        },
    ] {
        let by_cid = !request.cids.is_empty();
        let changes = berta
            .cancel_invocations(request)
            .await
            .unwrap()
            .into_inner()
            .changes;
        assert_eq!(changes.len(), usize::from(by_cid), "{changes:?}");
    }
    let found = anna.get_invocation(get(&cid)).await.unwrap().into_inner();
    assert_eq!(found.invocation.unwrap().state(), v1::State::Pending);
    let cancelled = anna.cancel_invocations(v1::CancelInvocationsRequest {
        all: true,
        ..v1::CancelInvocationsRequest::default()
    });
    assert_eq!(cancelled.await.unwrap().into_inner().changes.len(), 1);
    let retried = berta.retry_invocations(v1::RetryInvocationsRequest {
        cids: vec![cid],
        ..v1::RetryInvocationsRequest::default()
    });
    let change = retried.await.unwrap().into_inner().changes.remove(0);
    assert_eq!(change.failure.unwrap().reason, "CID_UNKNOWN");
}

#[tokio::test]
async fn a_group_and_an_operator_reach_more() {
    let group = || scoped(Scope::Group, Scope::Own);
    let node = node(vec![
        ("anna@team", group()),
        ("berta@team", group()),
        ("carla@other", group()),
        ("reader", scoped(Scope::All, Scope::None)),
        ("operator", scoped(Scope::All, Scope::All)),
    ])
    .await;
    let cid = accept(&mut client(&node, "anna@team").await, "cidery.ping").await;
    ended(&mut client(&node, "berta@team").await, &cid).await;
    ended(&mut client(&node, "reader").await, &cid).await;
    let mut carla = client(&node, "carla@other").await;
    assert_eq!(
        refused(carla.get_invocation(get(&cid)).await),
        "CID_UNKNOWN"
    );
    for (caller, count) in [("berta@team", 1), ("carla@other", 0), ("operator", 1)] {
        let mut client = client(&node, caller).await;
        let listed = client.list_invocations(list(v1::InvocationFilter::default()));
        let listed = listed.await.unwrap().into_inner().invocations;
        assert_eq!(listed.len(), count, "{caller}");
    }
    for (caller, reason) in [
        ("reader", Some("NOT_PERMITTED")),
        ("berta@team", Some("CID_UNKNOWN")),
        ("operator", None),
    ] {
        let purged = purge(&mut client(&node, caller).await, &cid).await;
        assert_eq!(purged.0.as_deref(), reason, "{caller}");
    }
}

#[tokio::test]
async fn keys_and_cids_are_those_of_their_principal() {
    let Two {
        node: _node,
        mut anna,
        mut berta,
    } = Two::start().await;
    let keyed = || v1::InvokeAsyncRequest {
        idempotency_key: "order-1".to_owned(),
        ..invoke_async("cidery.ping")
    };
    let first = anna.invoke_async(keyed()).await.unwrap().into_inner();
    let other = berta.invoke_async(keyed()).await.unwrap().into_inner();
    assert!(!other.already_accepted && first.cid != other.cid);
    let again = anna.invoke_async(keyed()).await.unwrap().into_inner();
    assert!(again.already_accepted);
    assert_eq!(again.cid, first.cid);
    let by_key = v1::GetInvocationRequest {
        service: "cidery.ping".to_owned(),
        idempotency_key: "order-1".to_owned(),
        ..v1::GetInvocationRequest::default()
    };
    let found = berta.get_invocation(by_key).await.unwrap().into_inner();
    assert_eq!(found.invocation.unwrap().cid, other.cid);
    // A synchronous call gets the outcome of its own key alone.
    let sync = || v1::InvokeRequest {
        service: "cidery.ping".to_owned(),
        idempotency_key: "order-1".to_owned(),
        ..v1::InvokeRequest::default()
    };
    assert_eq!(
        berta.invoke(sync()).await.unwrap().into_inner().cid,
        other.cid
    );
    let taken = || v1::InvokeAsyncRequest {
        cid: first.cid.clone(),
        ..invoke_async("cidery.echo")
    };
    let status = berta.invoke_async(taken()).await.unwrap_err();
    assert!(
        status.message().contains("is already stored or running"),
        "{status:?}"
    );
    assert!(!status.message().contains("cidery.ping"), "{status:?}");
    assert_eq!(refused(berta.invoke_async(taken()).await), "CID_IN_USE");
    assert_eq!(
        refused(anna.invoke_async(taken()).await),
        "IDEMPOTENCY_MISMATCH"
    );
}

/// The token alone is not enough: a principal needs control over the invocation, or serves it.
#[tokio::test]
async fn another_principal_does_not_complete() {
    let tokens = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let given = std::sync::Arc::clone(&tokens);
    let handler = move |ctx: Context| {
        let given = std::sync::Arc::clone(&given);
        async move {
            let later = ctx.later()?;
            given.lock().unwrap().push(later.token());
            Ok::<_, Error>(later)
        }
    };
    let builder = Node::builder().service("a.later", handler);
    let serving = Rights {
        serve: vec![super::pattern("a.*")],
        ..super::none()
    };
    let people = vec![
        ("anna", invoking(&["*"])),
        ("berta", invoking(&["*"])),
        ("worker", serving),
    ];
    let node = node_with(builder, people).await;
    let mut anna = client(&node, "anna").await;
    for (caller, reason) in [
        ("berta", Some("CID_UNKNOWN")),
        ("worker", None),
        ("anna", None),
    ] {
        let cid = accept(&mut anna, "a.later").await;
        crate::support::until("it waits", || !tokens.lock().unwrap().is_empty()).await;
        let token = tokens.lock().unwrap().pop().unwrap();
        let outcome = cidery::codec::struct_pb::encode_dict(&dict! { "n": 1 }).unwrap();
        let request = v1::CompleteInvocationRequest {
            cid: cid.clone(),
            token,
            outcome: Some(v1::complete_invocation_request::Outcome::Payload(outcome)),
            ..v1::CompleteInvocationRequest::default()
        };
        let completed = client(&node, caller)
            .await
            .complete_invocation(request)
            .await;
        match reason {
            Some(reason) => assert_eq!(refused(completed), reason),
            None => {
                completed.unwrap();
                ended(&mut anna, &cid).await;
            }
        }
    }
}

/// Whoever waits for a CID to be accepted does not get another one's events.
#[tokio::test]
async fn another_principals_invocation_is_not_followed_once_it_is_accepted() {
    let Two {
        node,
        mut anna,
        mut berta,
    } = Two::start().await;
    let (cid, own) = (
        cidery::Cid::new().to_string(),
        cidery::Cid::new().to_string(),
    );
    let request = v1::StreamResultsRequest {
        cids: vec![cid.clone(), own.clone()],
        wait_for_accept: true,
        ..v1::StreamResultsRequest::default()
    };
    let mut stream = berta.stream_results(request).await.unwrap().into_inner();
    let with_cid = |cid: &str| v1::InvokeAsyncRequest {
        cid: cid.to_owned(),
        ..invoke_async("cidery.ping")
    };
    anna.invoke_async(with_cid(&cid)).await.unwrap();
    ended(&mut anna, &cid).await;
    client(&node, "berta")
        .await
        .invoke_async(with_cid(&own))
        .await
        .unwrap();
    for _ in 0..3 {
        let event = tokio::time::timeout(PATIENCE, stream.message())
            .await
            .unwrap();
        assert_eq!(event.unwrap().unwrap().cid, own);
    }
}

/// Callbacks belong to whom their invocation belongs, and need the right of its caller as it is accepted.
#[tokio::test]
async fn callbacks_need_the_right_of_the_caller() {
    let node = node(vec![("anna", invoking(&["cidery.ping", "cidery.echo"]))]).await;
    let mut anna = client(&node, "anna").await;
    let request = v1::InvokeAsyncRequest {
        callbacks: vec!["cidery.echo".to_owned(), "customer.get".to_owned()],
        failure_callbacks: vec!["no.such".to_owned()],
        ..invoke_async("cidery.ping")
    };
    let error = crate::support::error_of(&anna.invoke_async(request.clone()).await.unwrap_err());
    assert_eq!(error.reason(), "NOT_PERMITTED");
    assert_eq!(
        crate::support::paths(&error),
        ["/callbacks/1", "/failure_callbacks/0"]
    );
    let batch = v1::InvokeBatchRequest {
        requests: vec![invoke_async("cidery.ping"), invoke_async("customer.get")],
        on_each: vec!["customer.get".to_owned()],
        ..v1::InvokeBatchRequest::default()
    };
    let error = crate::support::error_of(&anna.invoke_batch(batch).await.unwrap_err());
    assert_eq!(
        crate::support::paths(&error),
        ["/requests/1/service", "/on_each/0"]
    );
    let allowed = v1::InvokeAsyncRequest {
        callbacks: vec!["cidery.echo".to_owned()],
        failure_callbacks: Vec::new(),
        ..request
    };
    let cid = anna.invoke_async(allowed).await.unwrap().into_inner().cid;
    ended(&mut anna, &cid).await;
    let full = anna.get_invocation(get(&cid)).await.unwrap().into_inner();
    let callback = full.invocation.unwrap().callback_cids.remove(0);
    let callback = ended(&mut anna, &callback).await;
    assert_eq!(
        (
            callback.principal.as_str(),
            callback.acting_principal.as_str()
        ),
        ("anna", "anna")
    );
}

/// What an operation retries belongs to its owner still, unless the operation changes its input: then the operation
/// has written it, and it belongs to the principal that started it, and to its group.
#[tokio::test]
async fn an_operation_owns_the_retries_that_it_writes() {
    let admin = Rights {
        administer: true,
        ..scoped(Scope::All, Scope::All)
    };
    let fail = async |_: cidery::Value| Err::<(), _>(Error::not_found("GONE", "gone"));
    let people = vec![
        ("anna", scoped(Scope::Own, Scope::Own)),
        ("operator@team", admin),
        ("berta@team", scoped(Scope::Group, Scope::None)),
        ("carla@other", scoped(Scope::Group, Scope::None)),
    ];
    let builder = Node::builder().service("a.same", fail);
    let node = node_with(builder.service("a.other", fail), people).await;
    let mut anna = client(&node, "anna").await;
    let channel = Channel::from_shared(format!("http://{}", node.address())).unwrap();
    let channel = channel.connect().await.unwrap();
    let mut operations = OperationServiceClient::with_interceptor(channel, Named("operator@team"));
    for (service, patch, counts) in [
        (
            "a.same",
            "",
            [("anna", 2), ("berta@team", 0), ("carla@other", 0)],
        ),
        (
            "a.other",
            r#"{"n":1}"#,
            [("anna", 3), ("berta@team", 1), ("carla@other", 0)],
        ),
    ] {
        let cid = accept(&mut anna, service).await;
        assert_eq!(ended(&mut anna, &cid).await.state(), v1::State::Failed);
        let retry = v1::operation_action::Action::Retry(v1::RetryAction {
            input_patch_json: patch.to_owned(),
            ..v1::RetryAction::default()
        });
        let started = operations.start_operation(v1::StartOperationRequest {
            action: Some(v1::OperationAction {
                action: Some(retry),
            }),
            filter: Some(v1::InvocationFilter {
                services: vec![service.to_owned()],
                ..v1::InvocationFilter::default()
            }),
            ..v1::StartOperationRequest::default()
        });
        let started = started.await.unwrap().into_inner().operation.unwrap();
        assert_eq!(started.principal_group, "team");
        let mut operation = started.clone();
        while operation.state() == v1::OperationState::Running {
            let found = operations.get_operation(v1::GetOperationRequest {
                id: started.id.clone(),
                wait: true,
            });
            operation = found.await.unwrap().into_inner().operation.unwrap();
        }
        assert_eq!((operation.changed, operation.refusals.len()), (1, 0));
        for (caller, count) in counts {
            let mut client = client(&node, caller).await;
            let listed = client.list_invocations(list(v1::InvocationFilter::default()));
            let listed = listed.await.unwrap().into_inner().invocations;
            assert_eq!(listed.len(), count, "{caller} {patch}");
        }
    }
}
