//! Workers and clients in other languages, made from nothing but `proto/`: the programs of `examples/`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::Duration;

use cidery::codec::proto::v1;
use cidery::codec::{json, payload, struct_pb};
use cidery::service::Call;
use cidery::sio::{Sio, Text};
use cidery::{
    Client, Definition, Dict, Error, Kind, Payload, Result, Value, Worker, WorkerHandle, dict,
};
use futures_util::future::join_all;

use crate::support::binary::{Server, stderr, stdout, tool};
use crate::support::dynamic::Dynamic;
use crate::support::{Folder, PATIENCE};

/// What the programs need of the contract, without `.proto`.
const FILES: [&str; 4] = ["invocation", "outcome", "service", "worker"];

#[derive(Clone, Copy)]
enum Role {
    Worker,
    Client,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Client => "client",
        }
    }

    fn folder(self, language: &str) -> PathBuf {
        let folder = format!("examples/{}s/{language}", self.name());
        root().join(folder)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        stdout(&output),
        stderr(&output)
    );
}

/// A program of `examples/`, ready to run.
struct Program {
    language: &'static str,
    words: Vec<String>,
    environment: Option<(&'static str, String)>,
    /// What was made for it.
    _folder: Folder,
}

impl Program {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command
    }

    fn start(&self, address: &str) -> Running {
        let mut command = self.command();
        Running(command.arg(address).spawn().unwrap())
    }
}

/// A worker's process; ended when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn python(role: Role) -> Option<Program> {
    let python = tool("CIDERY_PYTHON", "the examples in Python")?;
    let folder = Folder::new("python");
    let stubs = folder.path().display().to_string();
    protoc(&python, &["python", "grpc_python"], folder.path(), "");
    let program = role.folder("python").join(format!("{}.py", role.name()));
    Some(Program {
        language: "python",
        words: vec![python, program.display().to_string()],
        environment: Some(("PYTHONPATH", stubs)),
        _folder: folder,
    })
}

/// Runs the `protoc` that comes with grpcio-tools, and that knows where Go's plugins are.
fn protoc(python: &str, plugins: &[&str], out: &Path, options: &str) {
    let mut command = Command::new(python);
    command.args(["-m", "grpc_tools.protoc", "-I"]);
    command.arg(root().join("proto"));
    for plugin in plugins {
        command.arg(format!("--{plugin}_out={options}:{}", out.display()));
    }
    command.args(FILES.map(|file| format!("cidery/v1/{file}.proto")));
    if let Ok(go) = std::env::var("CIDERY_GO") {
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{go}:{path}"));
    }
    succeed(&mut command);
}

fn go(role: Role) -> Option<Program> {
    tool("CIDERY_GO", "the examples in Go")?;
    let python = tool("CIDERY_PYTHON", "the examples in Go")?;
    let folder = Folder::new("go");
    for file in ["go.mod", "go.sum", "main.go"] {
        let copy = folder.path().join(file);
        std::fs::copy(role.folder("go").join(file), copy).unwrap();
    }
    let module = format!("example.com/{}", role.name());
    let packages = FILES.map(|file| format!(",Mcidery/v1/{file}.proto={module}/stubs/cidery/v1"));
    let options = format!("module={module}{}", packages.concat());
    protoc(&python, &["go", "go-grpc"], folder.path(), &options);
    let program = folder.path().join("program");
    let mut command = Command::new("go");
    command
        .args(["build", "-o"])
        .arg(&program)
        .current_dir(folder.path());
    command
        .env("GOFLAGS", "-mod=readonly")
        .env("GOTOOLCHAIN", "local");
    succeed(&mut command);
    Some(Program {
        language: "go",
        words: vec![program.display().to_string()],
        environment: None,
        _folder: folder,
    })
}

fn node(role: Role) -> Option<Program> {
    let modules = tool("CIDERY_NODE_MODULES", "the examples in JavaScript")?;
    let program = role.folder("node").join(format!("{}.js", role.name()));
    Some(Program {
        language: "node",
        words: vec!["node".into(), program.display().to_string()],
        environment: Some(("NODE_PATH", modules)),
        _folder: Folder::new("node"),
    })
}

fn java(role: Role) -> Option<Program> {
    let libraries = tool("CIDERY_JAVA", "the examples in Java")?;
    let protoc = tool("CIDERY_JAVA_PROTOC", "the examples in Java")?;
    let folder = Folder::new("java");
    let stubs = folder.path().display();
    let mut command = Command::new(&protoc);
    command.arg(format!("--plugin={protoc}-gen-grpc-java"));
    command.arg("-I").arg(root().join("proto"));
    command.args(["java", "grpc-java"].map(|plugin| format!("--{plugin}_out={stubs}")));
    command.args(FILES.map(|file| format!("cidery/v1/{file}.proto")));
    succeed(&mut command);
    let class = match role {
        Role::Worker => "ExampleWorker",
        Role::Client => "ExampleClient",
    };
    let class_path = format!("{stubs}:{libraries}/*");
    let mut command = Command::new("javac");
    command
        .args(["-proc:none", "-sourcepath"])
        .arg(folder.path());
    command.arg("-d").arg(folder.path());
    command.args(["-cp", &class_path]);
    command.arg(role.folder("java").join(format!("{class}.java")));
    succeed(&mut command);
    Some(Program {
        language: "java",
        words: vec!["java".into(), "-cp".into(), class_path, class.into()],
        environment: None,
        _folder: folder,
    })
}

/// Waits until a worker serves what it announces.
async fn served(client: &Client, language: &str, worker: &mut Running) {
    let name = format!("{language}.echo");
    let wait = async {
        loop {
            let services = client.services(&name).await.unwrap();
            let serving = i32::from(v1::ServiceHealth::Serving);
            if services.iter().any(|service| service.health == serving) {
                return;
            }
            assert!(worker.0.try_wait().unwrap().is_none(), "{name}: no worker");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, wait).await;
    waited.unwrap_or_else(|_| panic!("{name} is never served"));
}

async fn invoke(client: &Client, service: &str, input: impl Into<Payload>) -> Result<Value> {
    let call = Call::new(service.to_owned(), input);
    let (_, reply) = client.invoke(call).await?;
    payload::decode(reply.payload)
}

/// What an invocation in the background comes to.
async fn outcome(client: &Client, service: &str, input: Dict) -> v1::outcome::Outcome {
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

fn corpus() -> Vec<Value> {
    let text = std::fs::read(root().join("tests/fixtures/values.json")).unwrap();
    let Value::List(entries) = json::read(&text).unwrap() else {
        panic!("not a list")
    };
    assert!(!entries.is_empty());
    entries.iter().map(|entry| entry["value"].clone()).collect()
}

/// Everything that callers see of a worker, whatever it is written in.
async fn serves(program: Option<Program>) {
    let Some(program) = program else { return };
    let language = program.language;
    let server = Server::start(&[]);
    let mut worker = program.start(&server.address);
    let client = Client::connect(&server.address).await.unwrap();
    served(&client, language, &mut worker).await;

    let echo = format!("{language}.echo");
    for value in corpus() {
        let expected = invoke(&client, "cidery.echo", value.clone()).await.unwrap();
        let answer = invoke(&client, &echo, value.clone()).await;
        assert_eq!(answer.unwrap(), expected, "{value:?}");
    }
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
    assert_eq!(error.message(), "failed as it was told");
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

/// The worker that the clients call, beside the one in Python.
async fn rust(address: &str) -> WorkerHandle {
    let greet = async |input: Dict| {
        let name = input["name"].as_text().unwrap();
        dict! { "greeting": format!("Hello, {name} from rust") }
    };
    let sio = Sio::new().input(Text("name")).output(Text("greeting"));
    let greet = Definition::new("rust.greet", greet).unwrap().sio(sio);
    let fail = async || {
        let error = Error::failed_precondition("RUST_FAILED", "failed as it was told");
        Err::<(), _>(error)
    };
    let builder = Worker::builder().define(greet).service("rust.fail", fail);
    builder.connect(address).await.unwrap()
}

/// One run of a client: its lines, and its status.
fn said(program: &Program, arguments: &[&str]) -> (Vec<String>, Option<i32>) {
    let output: Output = program.command().args(arguments).output().unwrap();
    let lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    assert!(!lines.is_empty(), "{arguments:?}: {}", stderr(&output));
    (lines, output.status.code())
}

/// What a client prints, of each worker: to wait, in the background, with the events.
async fn calls(program: Option<Program>) {
    let Some(program) = program else { return };
    let server = Server::start(&[]);
    let _rust = rust(&server.address).await;
    let mut languages = vec!["rust"];
    let python = python(Role::Worker);
    let mut worker = python.as_ref().map(|python| python.start(&server.address));
    if let Some(worker) = &mut worker {
        let client = Client::connect(&server.address).await.unwrap();
        served(&client, "python", worker).await;
        languages.push("python");
    }
    for language in languages {
        let (greet, fail) = (format!("{language}.greet"), format!("{language}.fail"));
        let greeting = Value::Dict(dict! { "greeting": format!("Hello, Änn from {language}") });
        let reason = format!("{}_FAILED 9", language.to_uppercase());
        for (mode, before) in [
            ("sync", &[][..]),
            ("async", &[]),
            ("stream", &["accepted", "started"]),
        ] {
            let arguments = [&server.address, &*greet, "{\"name\": \"Änn\"}", mode];
            let (mut lines, status) = said(&program, &arguments);
            let answer = lines.pop().unwrap();
            assert_eq!(json::read(answer.as_bytes()).unwrap(), greeting, "{mode}");
            let last = (mode == "stream").then_some("succeeded");
            let expected: Vec<&str> = before.iter().copied().chain(last).collect();
            assert_eq!((lines, status), (owned(&expected), Some(0)), "{mode}");

            let (lines, status) = said(&program, &[&server.address, &fail, "{}", mode]);
            let last = (mode == "stream").then_some("failed");
            let expected = before.iter().copied().chain(last).chain([&*reason]);
            let expected: Vec<&str> = expected.collect();
            assert_eq!((lines, status), (owned(&expected), Some(3)), "{mode}");
        }
    }
    // Refused before anything runs.
    for (service, mode, expected) in [
        ("rust.greet", "sync", "INPUT_INVALID 3"),
        ("no.such", "async", "SERVICE_UNKNOWN 5"),
    ] {
        let (lines, status) = said(&program, &[&server.address, service, "{}", mode]);
        assert_eq!((lines, status), (owned(&[expected]), Some(3)), "{service}");
    }
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_python_client_calls() {
    calls(python(Role::Client)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_go_client_calls() {
    calls(go(Role::Client)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_client_calls() {
    calls(node(Role::Client)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_java_client_calls() {
    calls(java(Role::Client)).await;
}
