//! Filters as text, and what is counted by them: the same in lists, summaries and changes.

use std::collections::HashMap;
use std::time::Duration;

use cidery::codec::filter;
use cidery::codec::proto::v1;
use cidery::engine::clock::Clock;
use cidery::model::call::{Call, Start};
use cidery::remote::client::ContractClient;
use cidery::store::SqliteStore;
use cidery::{Cid, Kind, Node, RetryPolicy, dict};

use crate::support::binary::{Server, stderr, stdout};
use crate::support::{Folder, PATIENCE, TestNode, ended, error_of, paths, until};

/// The blocks of `docs/filters.md` in a language.
fn examples(language: &str) -> Vec<&'static str> {
    let document = include_str!("../../docs/filters.md");
    let opening = format!("\n```{language}\n");
    let blocks = document.split(&opening).skip(1);
    blocks
        .map(|rest| rest.split_once("\n```").unwrap().0)
        .collect()
}

fn list(expression: &str) -> v1::ListInvocationsRequest {
    v1::ListInvocationsRequest {
        filter_expression: expression.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn the_documented_filters_are_accepted_and_the_others_are_refused() {
    let node = TestNode::demo().await;
    let mut stub = node.stub.clone();
    let accepted = examples("filter");
    assert!(accepted.len() >= 7, "{accepted:?}");
    for text in accepted {
        stub.list_invocations(list(text)).await.expect(text);
        let request = v1::SummarizeInvocationsRequest {
            filter_expression: text.to_owned(),
            ..Default::default()
        };
        stub.summarize_invocations(request).await.expect(text);
    }
    let refused = examples("text");
    assert_eq!(refused.len(), 4, "{refused:?}");
    for text in refused {
        let error = error_of(&stub.list_invocations(list(text)).await.expect_err(text));
        assert_eq!(
            (error.kind(), error.reason(), paths(&error)),
            (
                Kind::InvalidArgument,
                "REQUEST_INVALID",
                vec!["/filter_expression"]
            ),
            "{text}"
        );
        let message = &error.field_violations()[0].message;
        assert!(message.starts_with("column "), "{message}");
    }
    // The command line takes the same.
    let consoles = examples("console").concat();
    let texts = consoles.split("--filter '").skip(1);
    let texts: Vec<_> = texts.map(|rest| rest.split('\'').next().unwrap()).collect();
    assert_eq!(texts.len(), 3);
    for text in texts {
        stub.list_invocations(list(text)).await.expect(text);
    }
}

#[tokio::test]
async fn a_request_has_a_message_or_a_text() {
    let node = TestNode::demo().await;
    let mut stub = node.stub.clone();
    let both = v1::ListInvocationsRequest {
        filter: Some(v1::InvocationFilter::default()),
        ..list("state = FAILED")
    };
    let refused = error_of(&stub.list_invocations(both).await.unwrap_err());
    let violation = &refused.field_violations()[0];
    assert_eq!(
        (violation.path.as_str(), &*violation.code),
        ("/filter_expression", "CONFLICT")
    );
    let cancel = |text: &str, cids: Vec<String>, all| v1::CancelInvocationsRequest {
        filter_expression: text.to_owned(),
        cids,
        all,
        ..Default::default()
    };
    let cids = vec![Cid::new().to_string()];
    for (request, path, code) in [
        (cancel("  ", vec![], false), "/filter_expression", "MISSING"),
        (
            cancel("state = FAILED", cids, false),
            "/filter_expression",
            "CONFLICT",
        ),
        (cancel("state = FAILED", vec![], true), "/all", "CONFLICT"),
        (
            cancel("state", vec![], false),
            "/filter_expression",
            "MALFORMED",
        ),
    ] {
        let refused = error_of(&stub.cancel_invocations(request).await.unwrap_err());
        let violation = &refused.field_violations()[0];
        assert_eq!((violation.path.as_str(), &*violation.code), (path, code));
    }
    let all = stub.cancel_invocations(cancel(" ", vec![], true)).await;
    assert_eq!(all.unwrap().into_inner().changes, []);
    let text = v1::InvocationFilter {
        failure_text: "x".repeat(1_025),
        ..Default::default()
    };
    let refused = node.client.invocations(text, 1).await.unwrap_err();
    assert_eq!(paths(&refused), ["/filter/failure_text"]);
}

/// One invocation of each kind: failed, held, running, pending, succeeded, and one that failed and was retried.
struct Invocations {
    failed: Cid,
    held: Cid,
    running: Cid,
    later: Cid,
    succeeded: Cid,
    retried: Cid,
    retry: Cid,
}

impl Invocations {
    async fn of(client: &ContractClient) -> Self {
        let start = async |mut call: Call, tenant: &str| {
            let metadata = [("tenant", tenant)].into_iter().collect();
            call.metadata = Some(std::sync::Arc::new(metadata));
            client.invoke_async(call).await.unwrap().cid
        };
        let input = dict! { "message": "Disk of Acme is full", "retryable": true };
        let mut once = Call::new("demo.fail", input);
        once.durable().retry_policy = Some(RetryPolicy::never());
        let failed = start(once.clone(), "acme").await;
        let retried = start(once.clone(), "other").await;
        let mut held = once.clone();
        held.durable().on_exhausted = Some(cidery::OnExhausted::Hold);
        let held = start(held, "acme").await;
        let sleep = || Call::new("demo.sleep", dict! { "seconds": 3_600 });
        let running = start(sleep(), "acme").await;
        let mut later = sleep();
        later.durable().start = Some(Start::After(Duration::from_hours(1)));
        let later = start(later, "acme").await;
        let succeeded = start(Call::new("customer.get", dict! { "cust_id": 1 }), "acme").await;
        for cid in [failed, retried, succeeded] {
            ended(client, cid).await;
        }
        let shows = async |cid, is: &dyn Fn(&v1::Invocation) -> bool| {
            let shown = async {
                while !is(&client.invocation(cid, Duration::ZERO).await.unwrap()) {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(PATIENCE, shown).await.unwrap();
        };
        shows(held, &|it| it.pending_reason() == v1::PendingReason::Held).await;
        shows(running, &|it| it.state() == v1::State::Running).await;
        let changes = client.retry(retried, false).await.unwrap();
        let retry: Cid = changes[0].new_cid.parse().unwrap();
        ended(client, retry).await;
        Self {
            failed,
            held,
            running,
            later,
            succeeded,
            retried,
            retry,
        }
    }
}

/// Counts by service, state, whether they are held, and reason; of each the number and the last CID.
type Counts = HashMap<(String, i32, bool, String), (u64, String)>;

fn counted(response: v1::SummarizeInvocationsResponse) -> Counts {
    let summaries = response.summaries.into_iter();
    let counts: Counts = summaries
        .map(|one| {
            let held = one.pending_reason() == v1::PendingReason::Held;
            let key = (one.service, one.state, held, one.failure_reason);
            (key, (one.count, one.example_cid))
        })
        .collect();
    let total: u64 = counts.values().map(|(count, _)| count).sum();
    assert_eq!(total, response.total);
    counts
}

/// The same by a list.
fn counted_by_list(found: &[v1::Invocation]) -> Counts {
    let mut counts = Counts::new();
    // Newest first.
    for one in found {
        let failure = match one
            .outcome
            .as_ref()
            .and_then(|outcome| outcome.outcome.as_ref())
        {
            Some(v1::outcome::Outcome::Failure(failure)) => Some(failure),
            _ => one.last_failure.as_ref(),
        };
        let reason = failure.map(|failure| failure.reason.clone());
        let held = one.pending_reason() == v1::PendingReason::Held;
        let key = (
            one.service.clone(),
            one.state,
            held,
            reason.unwrap_or_default(),
        );
        counts.entry(key).or_insert_with(|| (0, one.cid.clone())).0 += 1;
    }
    counts
}

/// Filters, and what matches them.
fn expectations(all: &Invocations) -> Vec<(&'static str, Vec<Cid>)> {
    vec![
        ("state = RUNNING", vec![all.running]),
        ("state = PENDING", vec![all.held, all.later]),
        (
            "state = (PENDING OR RUNNING) AND service = demo.sleep",
            vec![all.running, all.later],
        ),
        ("pending_reason = HELD", vec![all.held]),
        ("pending_reason = DUE_LATER", vec![all.later]),
        (
            "pending_reason = (HELD OR DUE_LATER)",
            vec![all.held, all.later],
        ),
        ("dead_letter = true", vec![all.failed, all.held, all.retry]),
        (
            "dead_letter = true AND state = FAILED",
            vec![all.failed, all.retry],
        ),
        (
            "dead_letter = true AND state = (FAILED OR RUNNING)",
            vec![all.failed, all.retry],
        ),
        (
            "metadata.tenant = acme AND dead_letter = true",
            vec![all.failed, all.held],
        ),
        ("metadata.tenant = other", vec![all.retried, all.retry]),
        (
            "metadata.tenant = acme AND state = SUCCEEDED",
            vec![all.succeeded],
        ),
        (
            "failure_message : 'of ACME is'",
            vec![all.failed, all.held, all.retried, all.retry],
        ),
        ("failure_message : 'no such text'", vec![]),
        (
            "failure_reason = DEMO_FAILED AND state = FAILED",
            vec![all.failed, all.retried, all.retry],
        ),
        (
            "accept_time > -1h AND end_time < '2200-01-01T00:00:00+01:00'",
            { vec![all.failed, all.succeeded, all.retried, all.retry] },
        ),
        ("accept_time < -1h", vec![]),
    ]
}

async fn filters_agree(node: &TestNode) {
    let client = &node.client;
    let all = Invocations::of(client).await;
    for (text, mut expected) in expectations(&all) {
        let filter = filter::parse(text, Clock::System.now()).unwrap();
        let found = client.invocations(filter.clone(), 1_000).await.unwrap();
        let mut cids: Vec<Cid> = found.iter().map(|one| one.cid.parse().unwrap()).collect();
        cids.sort_unstable();
        expected.sort_unstable();
        assert_eq!(cids, expected, "{text}");
        let counts = counted(client.summarize(filter.clone()).await.unwrap());
        assert_eq!(counts, counted_by_list(&found), "{text}");
        let cancelled = client.cancel(filter, true).await.unwrap();
        assert_eq!(cancelled.len(), expected.len(), "{text}");
    }
    let found = client
        .invocations(v1::InvocationFilter::default(), 1_000)
        .await
        .unwrap();
    let counts = client
        .summarize(v1::InvocationFilter::default())
        .await
        .unwrap();
    let failed = counts
        .summaries
        .iter()
        .find(|one| one.state() == v1::State::Failed);
    assert_eq!(failed.unwrap().example_message, "Disk of Acme is full");
    assert_eq!(
        (failed.unwrap().count, failed.unwrap().example_cid.clone()),
        (3, all.retry.to_string())
    );
    assert_eq!(counted(counts), counted_by_list(&found));
    let retried = client
        .invocation(all.retried, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(retried.retried_as, all.retry.to_string());
    client.cancel(all.running, false).await.unwrap();
}

#[tokio::test]
async fn lists_summaries_and_changes_agree_in_memory() {
    filters_agree(&TestNode::demo().await).await;
}

#[tokio::test]
async fn lists_summaries_and_changes_agree_on_disk() {
    let folder = Folder::new("filters");
    let store = SqliteStore::open(folder.path()).unwrap();
    filters_agree(&TestNode::start(Node::builder().demo().store(store)).await).await;
}

/// A list in pages has what matched all the time once, whatever is accepted, ends and is removed meanwhile.
#[tokio::test]
async fn page_tokens_stay_valid_while_invocations_change() {
    let folder = Folder::new("pages");
    let store = SqliteStore::open(folder.path()).unwrap();
    let node = TestNode::start(Node::builder().demo().store(store)).await;
    let client = &node.client;
    let get = async || {
        let call = Call::new("customer.get", dict! { "cust_id": 1 });
        let cid = client.invoke_async(call).await.unwrap().cid;
        ended(client, cid).await;
        cid
    };
    let mut all = Vec::new();
    for _ in 0..12 {
        all.push(get().await);
    }
    let mut removed = vec![all[1], all[5], all[6]];
    let (mut listed, mut token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListInvocationsRequest {
            page_size: 3,
            page_token: token,
            ..list("service = customer.get AND state = SUCCEEDED")
        };
        let page = node.stub.clone().list_invocations(request).await.unwrap();
        let page = page.into_inner();
        listed.extend(
            page.invocations
                .iter()
                .map(|one| one.cid.parse::<Cid>().unwrap()),
        );
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
        get().await;
        if let Some(cid) = removed.pop() {
            client.purge(cid, false).await.unwrap();
        }
    }
    let expected: Vec<Cid> = all.iter().rev().copied().collect();
    let stayed = |cid: &&Cid| ![all[1], all[5], all[6]].contains(*cid);
    let kept: Vec<&Cid> = listed.iter().filter(stayed).collect();
    assert_eq!(kept, expected.iter().filter(stayed).collect::<Vec<_>>());
    let mut once = listed.clone();
    once.dedup();
    assert_eq!(once, listed);
}

/// Fails an invocation with metadata, and returns its CID.
fn fail(server: &Server, tenant: &str) -> String {
    let metadata = format!("tenant={tenant}");
    let options = ["--retry", "1", "--async", "--metadata", &metadata];
    let call = ["invoke", "demo.fail", "message=Disk full"];
    let output = server.run(&[&call[..], &options].concat());
    let cid = stdout(&output).trim().to_owned();
    server.run(&["result", &cid, "--wait", "10s"]);
    cid
}

/// The CIDs that a list prints.
fn listed(server: &Server, arguments: &[&str]) -> Vec<String> {
    let output = server.run(&[&["invocations", "-o", "name"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).lines().map(str::to_owned).collect()
}

#[test]
fn the_command_line_filters_by_text_and_by_options() {
    let server = Server::start(&[]);
    let (one, two) = (fail(&server, "acme"), fail(&server, "other"));
    let names = |arguments: &[&str]| listed(&server, arguments);
    let both = [two.clone(), one];
    assert_eq!(names(&["--filter", "failure_message : 'disk FULL'"]), both);
    assert_eq!(names(&["--failure-text", "disk FULL"]), both);
    assert_eq!(names(&["--metadata", "tenant=acme"]), both[1..]);
    let text = "metadata.tenant = other AND accept_time > -1h";
    let and = ["--state", "failed", "--accepted-after", "1d"];
    assert_eq!(names(&[&["--filter", text], &and[..]].concat()), both[..1]);
    let count = server.run(&["invocations", "--count", "--filter", text]);
    assert_eq!(stdout(&count), "1\n");
    let summary = stdout(&server.run(&["invocations", "--summary", "--state", "failed"]));
    let mut lines = summary.lines().skip(1);
    let line: Vec<_> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(line[..4], ["demo.fail", "FAILED", "DEMO_FAILED", "2"]);
    assert!(summary.contains(&two), "{summary}");
    assert!(summary.contains("Disk full"), "{summary}");
}

#[test]
fn the_command_line_refuses_filters_that_it_cannot_combine() {
    let server = Server::start(&[]);
    let cases: [(&[&str], &str); 4] = [
        (
            &["--metadata", "a=1", "--metadata", "a=2"],
            "`--metadata a` is given with two values",
        ),
        (
            &["--filter", "state = FAILED", "--state", "pending"],
            "`--state` cannot be combined",
        ),
        (
            &["--filter", "metadata.a = 1", "--metadata", "a=2"],
            "`--metadata` cannot be combined",
        ),
        (
            &["--filter", "sevice = a"],
            "column 1: `sevice` is not a field: did you mean `service`?",
        ),
    ];
    for (arguments, expected) in cases {
        let refused = server.run(&[&["invocations"], arguments].concat());
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&refused).contains(expected), "{}", stderr(&refused));
    }
    let cancel = server.run(&["cancel", "--yes", "--filter", "state = FAILED"]);
    let message = "`--filter`: only pending and running invocations can be cancelled";
    assert!(stderr(&cancel).contains(message), "{}", stderr(&cancel));
}

#[tokio::test]
async fn the_command_line_shows_what_was_retried() {
    let server = Server::start(&[]);
    let (one, two) = (fail(&server, "acme"), fail(&server, "other"));
    let by_text = ["--filter", "metadata.tenant = acme"];
    let retried = server.run(&[&["retry", "--yes", "-o", "name"], &by_text[..]].concat());
    assert!(retried.status.success(), "{}", stderr(&retried));
    let explained = stdout(&server.run(&["explain", &one, "-o", "json"]));
    let explained: serde_json::Value = serde_json::from_str(&explained).unwrap();
    let retry = explained["retried_as"].as_str().unwrap().to_owned();
    let history = stdout(&server.run(&["explain", &one]));
    let origin = format!("retried as: {retry}");
    assert!(history.contains(&origin), "{history}");
    let notes = stderr(&server.run(&["result", &one]));
    assert!(notes.contains(&format!("retried as {retry}")), "{notes}");
    let dead = || listed(&server, &["--filter", "dead_letter = true"]);
    until("the retry failed", || {
        dead() == [retry.clone(), two.clone()]
    })
    .await;
}
