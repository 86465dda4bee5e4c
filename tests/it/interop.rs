//! Other people's tools and languages against the real binary: `grpcurl`, and a Python client made from `proto/`.

use std::path::Path;
use std::process::{Command, Output};

use cidery::codec::json;
use cidery::{Cid, Value};

use crate::support::binary::{Server, stderr, stdout, tool};

const INVOCATION: &str = "cidery.v1.InvocationService";

struct Grpcurl(String);

impl Grpcurl {
    fn run(&self, server: &Server, options: &[&str], rest: &[&str]) -> Output {
        let mut command = Command::new(&self.0);
        command
            .arg("-plaintext")
            .args(options)
            .arg(&server.address)
            .args(rest);
        command.output().unwrap()
    }

    /// Calls a method; answers with its messages.
    fn call(&self, server: &Server, method: &str, request: &str) -> Vec<Value> {
        let output = self.run(
            server,
            &["-d", request],
            &[&format!("{INVOCATION}/{method}")],
        );
        assert!(output.status.success(), "{}", stderr(&output));
        let text = stdout(&output).replace("}\n{", "}\0{");
        text.split('\0')
            .map(|message| json::read(message.as_bytes()).unwrap())
            .collect()
    }
}

#[test]
fn grpcurl_finds_and_calls_everything() {
    let Some(grpcurl) = tool("CIDERY_GRPCURL", "grpcurl").map(Grpcurl) else {
        return;
    };
    let server = Server::start(&[]);
    let list = stdout(&grpcurl.run(&server, &[], &["list"]));
    for service in [
        INVOCATION,
        "cidery.v1.DiscoveryService",
        "grpc.health.v1.Health",
    ] {
        assert!(list.lines().any(|line| line == service), "{list}");
    }
    let described = stdout(&grpcurl.run(&server, &[], &["describe", "cidery.v1.InvokeRequest"]));
    assert!(
        described.contains(".google.protobuf.Struct payload = 2;"),
        "{described}"
    );

    let customer = "{\"service\":\"customer.get\",\"payload\":{\"cust_id\":1}}";
    let answer = grpcurl.call(&server, "Invoke", customer).remove(0);
    assert_eq!(answer["payload"]["cust_name"], Value::from("Alexis Smith"));
    Cid::parse(answer["cid"].as_text().unwrap()).unwrap();

    let count = "{\"service\":\"demo.count\",\"payload\":{\"to\":2}}";
    let accepted = grpcurl.call(&server, "InvokeAsync", count).remove(0);
    let cid = accepted["cid"].as_text().unwrap();
    let events = grpcurl.call(
        &server,
        "StreamResults",
        &format!("{{\"cids\":[\"{cid}\"]}}"),
    );
    let names: Vec<&str> = events
        .iter()
        .filter_map(|event| {
            event
                .as_dict()?
                .keys()
                .find(|key| ["accepted", "started", "item", "succeeded"].contains(key))
        })
        .collect();
    assert_eq!(names, ["accepted", "started", "item", "item", "succeeded"]);
    let found = grpcurl
        .call(&server, "GetInvocation", &format!("{{\"cid\":\"{cid}\"}}"))
        .remove(0);
    assert_eq!(found["invocation"]["state"], Value::from("STATE_SUCCEEDED"));
}

/// Details are shown as what they are, not as base64: their types are served too.
#[test]
fn grpcurl_shows_the_details_of_failures() {
    let Some(grpcurl) = tool("CIDERY_GRPCURL", "grpcurl").map(Grpcurl) else {
        return;
    };
    let server = Server::start(&[]);
    let wrong = "{\"service\":\"customer.get\",\"payload\":{\"cust_id\":\"x\"}}";
    let output = grpcurl.run(&server, &["-d", wrong], &[&format!("{INVOCATION}/Invoke")]);
    let said = stderr(&output);
    for text in [
        "InvalidArgument",
        "INPUT_INVALID",
        "\"/cust_id\"",
        "requestId",
    ] {
        assert!(said.contains(text), "{text} is not in {said}");
    }
}

#[test]
fn a_python_client_made_from_the_proto_files_calls_everything() {
    let Some(python) = tool("CIDERY_PYTHON", "a Python client") else {
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let stubs = std::env::temp_dir().join(format!("cidery-stubs-{}", Cid::new()));
    std::fs::create_dir_all(&stubs).unwrap();
    let mut generate = Command::new(&python);
    generate
        .args(["-m", "grpc_tools.protoc", "-I"])
        .arg(root.join("proto"));
    for option in ["--python_out", "--grpc_python_out"] {
        generate.arg(format!("{option}={}", stubs.display()));
    }
    for file in std::fs::read_dir(root.join("proto/cidery/v1")).unwrap() {
        generate.arg(file.unwrap().path());
    }
    let generated = generate.output().unwrap();
    assert!(generated.status.success(), "{}", stderr(&generated));
    let server = Server::start(&[]);
    let client = root.join("tests/interop/client.py");
    let output = Command::new(&python)
        .arg(client)
        .arg(&stubs)
        .arg(&server.address)
        .output()
        .unwrap();
    std::fs::remove_dir_all(&stubs).unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}
