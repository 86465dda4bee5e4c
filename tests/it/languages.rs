//! Workers and clients in other languages, with code generated from `proto/`: the programs of `examples/`.

use std::io::{BufRead as _, BufReader};
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::{json, payload, struct_pb};
use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{Dict, Kind, Payload, Result, Value, dict};
use futures_util::StreamExt as _;
use futures_util::future::join_all;

use crate::support::PATIENCE;
use crate::support::binary::{Server, stderr, stdout};
use crate::support::dynamic::Dynamic;
use crate::support::programs::{Program, Role, Running, go, java, node, python, root, rust};

/// Waits until a worker serves its services.
async fn wait_for_worker(client: &ContractClient, language: &str, worker: &mut Running) {
    let name = format!("{language}.echo");
    let wait = async {
        loop {
            let services = client.services(&name).await.unwrap();
            let serving = i32::from(v1::ServiceHealth::Serving);
            if services.iter().any(|service| service.health == serving) {
                return;
            }
            assert!(!worker.has_ended(), "{name}: no worker");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("{name} is never served"));
}

async fn invoke(
    client: &ContractClient,
    service: &str,
    input: impl Into<Payload>,
) -> Result<Value> {
    let call = Call::new(service.to_owned(), input);
    let (_, reply) = client.invoke(call).await?;
    payload::decode(reply.payload)
}

/// The outcome of an invocation in the background.
async fn outcome(client: &ContractClient, service: &str, input: Dict) -> v1::outcome::Outcome {
    let call = Call::new(service.to_owned(), input);
    let cid = client.invoke_async(call).await.unwrap().cid;
    let found = client.invocation(cid, PATIENCE).await.unwrap();
    found.outcome.unwrap().outcome.unwrap()
}

fn dict_of(outcome: v1::outcome::Outcome) -> Dict {
    match outcome {
        v1::outcome::Outcome::Payload(bytes) => struct_pb::decode_dict(&bytes).unwrap(),
        other => panic!("no dict: {other:?}"),
    }
}

fn failure_of(outcome: v1::outcome::Outcome) -> v1::Failure {
    match outcome {
        v1::outcome::Outcome::Failure(failure) => failure,
        other => panic!("no failure: {other:?}"),
    }
}

/// The corpus: the name of each value, the value, and the value after a round trip.
fn corpus() -> Vec<(String, Value, Value)> {
    let text = std::fs::read(root().join("tests/fixtures/values.json")).unwrap();
    let Value::List(entries) = json::read(&text).unwrap() else {
        panic!("not a list")
    };
    assert!(!entries.is_empty());
    let part = |entry: &Value, key: &str| entry[key].clone();
    let entries = entries.iter().map(|entry| {
        let name = entry["name"].as_text().unwrap().to_owned();
        (name, part(entry, "value"), part(entry, "back"))
    });
    entries.collect()
}

/// The values after a round trip, as one dict: all that the JSON of every language carries.
fn corpus_as_dict() -> Dict {
    let mut dict = Dict::new();
    for (name, _, back) in corpus() {
        // JavaScript writes it as `0`.
        if name != "negative zero" {
            dict.insert(name, back);
        }
    }
    dict
}

/// Tests a worker from the outside, in any language.
async fn serves(program: Option<Program>) {
    let Some(program) = program else { return };
    let language = program.language;
    let server = Server::start(&[]);
    let mut worker = program.start(&server.address);
    let client = ContractClient::connect(&server.address).await.unwrap();
    wait_for_worker(&client, language, &mut worker).await;

    let echo = format!("{language}.echo");
    for (_, value, _) in corpus() {
        let expected = invoke(&client, "cidery.echo", value.clone()).await.unwrap();
        let answer = invoke(&client, &echo, value.clone()).await;
        assert_eq!(answer.unwrap(), expected, "{value:?}");
    }
    let all = corpus_as_dict();
    let answer = dict_of(outcome(&client, &echo, all.clone()).await);
    assert_eq!(answer, all);
    let nothing = invoke(&client, &echo, dict! {}).await.unwrap();
    assert_eq!(nothing, Value::Dict(dict! {}));

    let address = server.address.parse().unwrap();
    let typed = Dynamic::discover(address, &format!("{language}.Service")).await;
    let method = format!("{language}.Service/Greet");
    let ann = serde_json::json!({ "name": "Ann" });
    let greeting = format!("Hello, Ann from {language}");
    assert_eq!(
        typed.call(&method, ann).await.unwrap()["greeting"],
        *greeting
    );

    let greet = format!("{language}.greet");
    let many = (0..100).map(async |n: u32| {
        let answer = invoke(&client, &greet, dict! { "name": n.to_string() }).await;
        let greeting = format!("Hello, {n} from {language}");
        assert_eq!(answer.unwrap()["greeting"], Value::from(greeting));
    });
    join_all(many).await;
    let refused = invoke(&client, &greet, dict! {}).await.unwrap_err();
    assert_eq!(refused.reason(), "INPUT_INVALID");
    let answer = dict_of(outcome(&client, &greet, dict! { "name": "Ann" }).await);
    assert_eq!(answer, dict! { "greeting": greeting });

    let fail = format!("{language}.fail");
    let reason = format!("{}_FAILED", language.to_uppercase());
    let error = invoke(&client, &fail, dict! {}).await.unwrap_err();
    assert_eq!(error.kind(), Kind::FailedPrecondition);
    assert_eq!(error.reason(), reason);
    assert_eq!(error.message(), "failed on purpose");
    let failure = failure_of(outcome(&client, &fail, dict! {}).await);
    assert_eq!((failure.code, failure.reason), (9, reason));

    let nested = format!("{language}.nested");
    let customer = invoke(&client, "customer.get", dict! { "cust_id": 1 }).await;
    let customer = customer.unwrap();
    assert_eq!(customer["cust_name"], Value::from("Alexis Smith"));
    let answer = invoke(&client, &nested, dict! {}).await;
    assert_eq!(answer.unwrap(), customer);
    let answer = dict_of(outcome(&client, &nested, dict! {}).await);
    assert_eq!(Value::Dict(answer), customer);
}

#[tokio::test]
async fn a_rust_worker_serves() {
    serves(Some(rust())).await;
}

#[tokio::test]
async fn a_python_worker_serves() {
    serves(python(Role::Worker)).await;
}

#[tokio::test]
async fn a_go_worker_serves() {
    serves(go(Role::Worker)).await;
}

#[tokio::test]
async fn a_node_worker_serves() {
    serves(node(Role::Worker)).await;
}

#[tokio::test]
async fn a_java_worker_serves() {
    serves(java(Role::Worker)).await;
}

/// What a client printed: its standard output, its standard error, and its exit status.
struct Printed {
    lines: Vec<String>,
    notes: String,
    status: Option<i32>,
}

fn run(program: &Program, arguments: &[&str]) -> Printed {
    let output: Output = program.command().args(arguments).output().unwrap();
    Printed {
        lines: stdout(&output).lines().map(str::to_owned).collect(),
        notes: stderr(&output),
        status: output.status.code(),
    }
}

/// Runs a client with each worker: synchronously, in the background, and with the events.
fn calls(program: &Program, address: &str, languages: &[&str]) {
    let corpus = corpus_as_dict();
    let corpus_text = json::write(&Value::Dict(corpus.clone())).unwrap();
    for language in languages {
        let echo = format!("{language}.echo");
        for mode in ["sync", "async", "stream"] {
            let printed = run(program, &[address, &echo, &corpus_text, mode]);
            let answer = printed.lines.last().expect(&printed.notes);
            let answer = json::read(answer.as_bytes()).unwrap();
            // Java writes `1.0` where there is a double without a fraction.
            let answer = answer.normalized();
            assert_eq!(answer, Value::Dict(corpus.clone()), "{language} {mode}");
        }
        let (greet, fail) = (format!("{language}.greet"), format!("{language}.fail"));
        let greeting = Value::Dict(dict! { "greeting": format!("Hello, Änn from {language}") });
        let failure = format!(
            "FAILED_PRECONDITION {}_FAILED: failed on purpose\n",
            language.to_uppercase()
        );
        for (mode, before) in [
            ("sync", &[][..]),
            ("async", &[]),
            ("stream", &["accepted", "started"]),
        ] {
            let arguments = [address, &*greet, "{\"name\": \"Änn\"}", mode];
            let mut printed = run(program, &arguments);
            let answer = printed.lines.pop().expect(&printed.notes);
            assert_eq!(json::read(answer.as_bytes()).unwrap(), greeting, "{mode}");
            let last = (mode == "stream").then_some("succeeded");
            let expected: Vec<&str> = before.iter().copied().chain(last).collect();
            let expected = (owned(&expected), Some(0));
            assert_eq!((printed.lines, printed.status), expected, "{mode}");

            let printed = run(program, &[address, &fail, "{}", mode]);
            let last = (mode == "stream").then_some("failed");
            let expected: Vec<&str> = before.iter().copied().chain(last).collect();
            let expected = (owned(&expected), Some(3));
            assert_eq!((printed.lines, printed.status), expected, "{mode}");
            assert!(
                printed.notes.contains(&failure),
                "{mode}: {}",
                printed.notes
            );
        }
    }
}

/// Follows a call: a client prints the items before the response.
fn items(program: &Program, address: &str) {
    let printed = run(program, &[address, "demo.count", "{\"to\": 2}", "stream"]);
    let values = printed.lines.iter().filter(|line| line.starts_with('{'));
    let values = values.map(|line| json::read(line.as_bytes()).unwrap().normalized());
    let expected = [dict! { "n": 1 }, dict! { "n": 2 }, dict! { "total": 2 }].map(Value::Dict);
    assert_eq!(values.collect::<Vec<_>>(), expected, "{}", printed.notes);
}

/// Calls that are refused before a handler runs: a client prints all details.
fn refused_calls(program: &Program, address: &str) {
    for (service, mode, expected) in [
        (
            "rust.greet",
            "sync",
            [
                "INVALID_ARGUMENT INPUT_INVALID: ",
                "google.rpc.BadRequest",
                "/name",
                "google.rpc.RequestInfo",
            ],
        ),
        (
            "no.such",
            "async",
            [
                "NOT_FOUND SERVICE_UNKNOWN: ",
                "no.such",
                "google.rpc.ErrorInfo",
                "cidery",
            ],
        ),
    ] {
        let printed = run(program, &[address, service, "{}", mode]);
        let notes = printed.notes;
        assert_eq!(
            (printed.lines.len(), printed.status),
            (0, Some(3)),
            "{notes}"
        );
        for text in expected {
            assert!(notes.contains(text), "{text} is not in {notes}");
        }
    }
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

/// Two clients at a time, because each call is a process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_client_calls_each_worker() {
    let server = Server::start(&[]);
    let client = ContractClient::connect(&server.address).await.unwrap();
    let mut languages = Vec::new();
    let of_each = [python, go, node, java];
    let others = of_each.iter().filter_map(|make| make(Role::Worker));
    let programs: Vec<_> = std::iter::once(rust()).chain(others).collect();
    let mut workers: Vec<_> = programs
        .iter()
        .map(|program| program.start(&server.address))
        .collect();
    for (program, worker) in programs.iter().zip(&mut workers) {
        wait_for_worker(&client, program.language, worker).await;
        languages.push(program.language);
    }
    let (languages, address) = (Arc::new(languages), Arc::new(server.address.clone()));
    let clients = of_each.into_iter().filter_map(|make| make(Role::Client));
    let calls = clients.map(|program| {
        let (languages, address) = (Arc::clone(&languages), Arc::clone(&address));
        tokio::task::spawn_blocking(move || {
            calls(&program, &address, &languages);
            refused_calls(&program, &address);
            items(&program, &address);
        })
    });
    let mut calls = futures_util::stream::iter(calls).buffer_unordered(2);
    while let Some(called) = calls.next().await {
        called.unwrap();
    }
}

/// Each failed attempt is printed, and no client waits for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_client_reports_retries_and_ends_after_its_limit() {
    let server = Server::start(&[]);
    let address = Arc::new(server.address.clone());
    let clients = [python, go, node, java].map(|make| make(Role::Client));
    let runs = clients.into_iter().flatten().map(|program| {
        let address = Arc::clone(&address);
        tokio::task::spawn_blocking(move || {
            let retried =
                "attempt 1: UNAVAILABLE DEMO_FLAKY: attempt 1 fails, as requested; next at ";
            prints(&program, &address, "stream", retried);
            prints(
                &program,
                &address,
                "async",
                " after UNAVAILABLE DEMO_FLAKY: ",
            );
            let arguments = [
                &**address,
                "demo.sleep",
                "{\"seconds\": 600}",
                "async",
                "0.5",
            ];
            let Printed { notes, status, .. } = run(&program, &arguments);
            assert!(notes.contains("DEADLINE_EXCEEDED: "), "{notes}");
            assert_eq!(status, Some(3), "{notes}");
        })
    });
    for run in join_all(runs).await {
        run.unwrap();
    }
}

/// Runs a client of a service that always fails, until its standard error has this text.
fn prints(program: &Program, address: &str, mode: &str, text: &str) {
    let mut command = program.command();
    command.args([address, "demo.flaky", "{\"failures\": 1000}", mode]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut client = Running(command.spawn().unwrap());
    let notes = BufReader::new(client.0.stderr.take().unwrap());
    let mut seen = String::new();
    for line in notes.lines() {
        seen.push_str(&line.unwrap());
        if seen.contains(text) {
            return;
        }
        seen.push('\n');
    }
    panic!("{} {mode} prints only {seen}", program.language);
}
