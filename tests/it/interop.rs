//! Interoperability of the real binary with `grpcurl`, `buf`, and clients generated from `proto/` in other languages.

use std::path::Path;
use std::process::{Command, Output};

use cidery::codec::json;
use cidery::{Cid, Value};
use prost::Message as _;
use prost_reflect::DynamicMessage;

use crate::support::Folder;
use crate::support::binary::{Server, stderr, stdout, tool};
use crate::support::dynamic::Dynamic;

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

    /// Calls a method and returns its messages.
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
fn grpcurl_lists_and_calls_services() {
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

/// Reflection serves the types of details, so that they are decoded instead of shown as base64.
#[test]
fn grpcurl_shows_the_details_of_failures() {
    let Some(grpcurl) = tool("CIDERY_GRPCURL", "grpcurl").map(Grpcurl) else {
        return;
    };
    let server = Server::start(&[]);
    let wrong = "{\"service\":\"customer.get\",\"payload\":{\"cust_id\":\"x\"}}";
    let output = grpcurl.run(&server, &["-d", wrong], &[&format!("{INVOCATION}/Invoke")]);
    let errors = stderr(&output);
    for text in [
        "InvalidArgument",
        "INPUT_INVALID",
        "\"/cust_id\"",
        "requestId",
    ] {
        assert!(errors.contains(text), "{text} is not in {errors}");
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn succeeded(output: &Output) {
    assert!(
        output.status.success(),
        "{}{}",
        stdout(output),
        stderr(output)
    );
}

/// All `.proto` files under a folder, as `protoc` names them.
fn protos(folder: &Path) -> Vec<String> {
    let mut folders = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "proto")
            {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// Generates code with the `protoc` that comes with grpcio-tools.
fn generate(python: &str, protos_in: &Path, options: &[String], path: Option<&str>) {
    let mut command = Command::new(python);
    command
        .args(["-m", "grpc_tools.protoc", "-I"])
        .arg(protos_in);
    command.args(options).args(protos(protos_in));
    if let Some(path) = path {
        command.env("PATH", path);
    }
    succeeded(&command.output().unwrap());
}

/// The output of `cidery export proto --api`.
fn exported(server: &Server) -> Folder {
    let folder = Folder::new("export");
    let out = folder.path().display().to_string();
    let options = [
        "--api",
        "--builtins",
        "--go-package",
        "example.com/client/stubs",
        "--out",
        &out,
    ];
    succeeded(&server.run(&[&["export", "proto"], &options[..]].concat()));
    folder
}

#[test]
fn a_generated_python_client_calls_all_methods() {
    let Some(python) = tool("CIDERY_PYTHON", "a Python client") else {
        return;
    };
    let stubs = Folder::new("stubs");
    let out = stubs.path().display();
    let options = [
        format!("--python_out={out}"),
        format!("--grpc_python_out={out}"),
    ];
    generate(&python, &root().join("proto"), &options, None);
    let server = Server::start(&[]);
    let client = root().join("tests/interop/client.py");
    let mut command = Command::new(&python);
    command.arg(client).arg(stubs.path()).arg(&server.address);
    succeeded(&command.output().unwrap());
}

/// A process that is killed when the test ends.
struct Process(std::process::Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The worker in `docs/worker-protocol.md`, unchanged.
#[test]
fn the_minimal_worker_of_the_documentation_serves() {
    let tools = [
        tool("CIDERY_PYTHON", "the minimal worker"),
        tool("CIDERY_GRPCURL", "the minimal worker"),
    ];
    let [Some(python), Some(grpcurl)] = tools else {
        return;
    };
    let folder = Folder::new("minimal");
    let out = folder.path().display();
    let options = [
        format!("--python_out={out}"),
        format!("--grpc_python_out={out}"),
    ];
    generate(&python, &root().join("proto"), &options, None);
    let page = std::fs::read_to_string(root().join("docs/worker-protocol.md")).unwrap();
    let code = page
        .split("```python\n")
        .nth(1)
        .unwrap()
        .split("```")
        .next()
        .unwrap();
    let worker = folder.path().join("worker.py");
    std::fs::write(&worker, code).unwrap();
    let server = Server::start(&[]);
    let mut command = Command::new(&python);
    let _worker = Process(command.arg(&worker).arg(&server.address).spawn().unwrap());
    let serves = || stdout(&server.run(&["services", "greet.hello"])).contains("SERVING");
    let until = tokio::time::Instant::now() + crate::support::PATIENCE;
    while !serves() {
        assert!(
            tokio::time::Instant::now() < until,
            "the worker does not come"
        );
    }
    let mut call = Command::new(grpcurl);
    call.args(["-plaintext", "-d", "{\"name\": \"Ann\"}", &server.address]);
    let answer = call.arg("greet.Service/Hello").output().unwrap();
    succeeded(&answer);
    assert!(
        stdout(&answer).contains("\"greeting\": \"Hello, Ann\""),
        "{}",
        stdout(&answer)
    );
    let answer = server.run(&["invoke", "--follow", "greet.hello", "name=Bob"]);
    assert!(stdout(&answer).contains("Hello, Bob"));
    assert!(stdout(&server.run(&["workers"])).contains("minimal"));
    let services = stdout(&server.run(&["services", "greet."]));
    assert!(
        services.contains("SERVED BY") && services.contains("minimal"),
        "{services}"
    );
    let refused = server.run(&["service", "forget", "greet.hello"]);
    assert!(stderr(&refused).contains("SERVICE_IN_USE"));
}

#[test]
fn a_plain_object_of_a_javascript_client_is_explained() {
    let Some(modules) = tool("CIDERY_NODE_MODULES", "a JavaScript client") else {
        return;
    };
    let server = Server::start(&[]);
    let mut command = Command::new("node");
    command
        .arg(root().join("tests/interop/plain_object.js"))
        .arg(root().join("proto"))
        .arg(&server.address)
        .env("NODE_PATH", modules);
    let output = command.output().unwrap();
    succeeded(&output);
    let required = "`/cust_id`: is required";
    let both = format!(
        "{required}\nhint: the payload arrived empty; in JavaScript, write a Struct as {{fields: {{cust_id: \
         {{numberValue: 1}}}}}}, or send document: Buffer.from(JSON.stringify(...)) instead, or call the typed method \
         with a plain object (keepCase: true)\n{required}; `cust` is not declared: did you mean `cust_id`?\nhint: \n"
    );
    assert_eq!(stdout(&output), both.repeat(2));
}

#[test]
fn a_python_client_generated_from_exported_files_calls_typed_methods() {
    let Some(python) = tool("CIDERY_PYTHON", "a Python client") else {
        return;
    };
    let server = Server::start(&[]);
    let protos = exported(&server);
    let stubs = Folder::new("stubs");
    let out = stubs.path().display();
    let options = [
        format!("--python_out={out}"),
        format!("--grpc_python_out={out}"),
    ];
    generate(&python, protos.path(), &options, None);
    let client = root().join("tests/interop/typed.py");
    let mut command = Command::new(&python);
    command.arg(client).arg(stubs.path()).arg(&server.address);
    succeeded(&command.output().unwrap());
}

#[test]
fn a_go_client_generated_from_exported_files_calls_typed_methods() {
    let (Some(go), Some(python)) = (
        tool("CIDERY_GO", "a Go client"),
        tool("CIDERY_PYTHON", "a Go client"),
    ) else {
        return;
    };
    let server = Server::start(&[]);
    let protos = exported(&server);
    let client = Folder::new("go");
    for file in ["go.mod", "go.sum", "main.go"] {
        std::fs::copy(
            root().join("tests/interop/go").join(file),
            client.path().join(file),
        )
        .unwrap();
    }
    let out = client.path().display();
    let options = ["go", "go-grpc"].map(|plugin| {
        let module = format!("--{plugin}_opt=module=example.com/client");
        [format!("--{plugin}_out={out}"), module]
    });
    let path = format!("{go}:{}", std::env::var("PATH").unwrap());
    generate(&python, protos.path(), &options.concat(), Some(&path));
    let mut command = Command::new("go");
    command
        .args(["run", ".", &server.address])
        .current_dir(client.path());
    command
        .env("GOFLAGS", "-mod=readonly")
        .env("GOTOOLCHAIN", "local");
    succeeded(&command.output().unwrap());
}

#[test]
fn java_code_generated_from_exported_files_compiles() {
    let tools = [
        tool("CIDERY_JAVA", "Java code of exported files"),
        tool("CIDERY_JAVA_PROTOC", "Java code of exported files"),
    ];
    let [Some(libraries), Some(protoc)] = tools else {
        return;
    };
    let server = Server::start(&[]);
    let folder = Folder::new("java-export");
    let out = folder.path().display().to_string();
    let options = ["--builtins", "--java-package", "com.example", "--out", &out];
    succeeded(&server.run(&[&["export", "proto"], &options[..]].concat()));
    let mut generate = Command::new(&protoc);
    generate
        .arg(format!("--plugin={protoc}-gen-grpc-java"))
        .args(["-I", &out])
        .args([
            format!("--java_out={out}"),
            format!("--grpc-java_out={out}"),
        ])
        .args(protos(folder.path()));
    succeeded(&generate.output().unwrap());
    let sources = ["GetRequest", "GetAsyncRequest", "ServiceGrpc"];
    let sources = sources.map(|class| format!("{out}/com/example/customer/{class}.java"));
    let mut compile = Command::new("javac");
    compile
        .args(["-proc:none", "-d", &out, "-sourcepath", &out, "-cp"])
        .arg(format!("{libraries}/*"))
        .args(sources);
    succeeded(&compile.output().unwrap());
}

#[test]
fn buf_accepts_exported_files_with_the_documented_rules() {
    let Some(buf) = tool("CIDERY_BUF", "buf on exported files") else {
        return;
    };
    let server = Server::start(&[]);
    let protos = Folder::new("buf");
    let out = protos.path().to_str().unwrap();
    let options = ["--api", "--builtins", "--java-package", "com.example"];
    let command = [&["export", "proto", "--out", out], &options[..]].concat();
    succeeded(&server.run(&command));
    assert!(protos.path().join("google/rpc/status.proto").exists());
    let page = std::fs::read_to_string(root().join("docs/sio.md")).unwrap();
    let rules = page.split("```yaml\n").nth(1).unwrap();
    let rules = rules.split("```").next().unwrap();
    std::fs::write(protos.path().join("buf.yaml"), rules).unwrap();
    for check in [&["lint"][..], &["format", "--diff", "--exit-code"]] {
        let mut command = Command::new(&buf);
        succeeded(
            &command
                .args(check)
                .current_dir(protos.path())
                .output()
                .unwrap(),
        );
    }
}

#[test]
fn a_default_java_client_reads_a_failure_with_a_hundred_violations() {
    let Some(libraries) = tool("CIDERY_JAVA", "a Java client") else {
        return;
    };
    let server = Server::start(&[]);
    let request = {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let address = server.address.parse().unwrap();
        let client = runtime.block_on(Dynamic::discover(address, "customer.Service"));
        let message = client
            .pool()
            .get_message_by_name("customer.ImportRequest")
            .unwrap();
        let items = vec![serde_json::json!({ "cust_name": "A" }); 100];
        DynamicMessage::deserialize(message, serde_json::json!({ "items": items }))
            .unwrap()
            .encode_to_vec()
    };
    let hex = request
        .iter()
        .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let mut command = Command::new("java");
    command.arg("-cp").arg(format!("{libraries}/*"));
    command.arg(root().join("tests/interop/java/Violations.java"));
    let output = command
        .args([&server.address, "customer.Service/Import", &hex])
        .output()
        .unwrap();
    succeeded(&output);
    let printed = stdout(&output);
    let words: Vec<&str> = printed.split_whitespace().collect();
    let ["INVALID_ARGUMENT", violations, omitted] = words.as_slice() else {
        panic!("{printed}")
    };
    let count: usize = violations.parse::<usize>().unwrap() + omitted.parse::<usize>().unwrap();
    assert_eq!(count, 100, "{printed}");
}

#[test]
fn grpcurl_calls_typed_methods_and_describes_their_fields() {
    let Some(grpcurl) = tool("CIDERY_GRPCURL", "grpcurl").map(Grpcurl) else {
        return;
    };
    let server = Server::start(&[]);
    let called = grpcurl.run(
        &server,
        &["-d", "{\"cust_id\": 1}"],
        &["customer.Service/Get"],
    );
    succeeded(&called);
    let answer = json::read(&called.stdout).unwrap();
    assert_eq!(answer["cust_name"], Value::from("Alexis Smith"));
    let described = stdout(&grpcurl.run(&server, &[], &["describe", "customer.Service.Get"]));
    assert!(
        described.contains("rpc Get ( .customer.GetRequest ) returns ( .customer.GetResponse );")
    );
    let described = stdout(&grpcurl.run(&server, &[], &["describe", "customer.GetRequest"]));
    assert!(
        described.contains("optional int64 cust_id = 26730156"),
        "{described}"
    );
}

/// The examples of discovery are run unchanged.
#[test]
fn the_examples_of_discovery_work() {
    let tools = [
        tool("CIDERY_GRPCURL", "grpcurl"),
        tool("CIDERY_SDK", "a Python client"),
    ];
    let [Some(grpcurl), Some(sdk)] = tools else {
        return;
    };
    let server = Server::start(&[]);
    for service in [
        "customer.get",
        "customer.import",
        "cidery.ping",
        "cidery.echo",
        "invoking.my-service2",
    ] {
        let described = server.run(&["describe", service, "--output", "json"]);
        let facts = json::read(&described.stdout).unwrap();
        let text = |tool: &str| facts["examples"][tool].as_text().unwrap().to_owned();
        let binary = Path::new(env!("CARGO_BIN_EXE_cidery"))
            .parent()
            .unwrap()
            .display()
            .to_string();
        let grpcurl_folder = Path::new(&grpcurl).parent().unwrap().display().to_string();
        let path = format!(
            "{binary}:{grpcurl_folder}:{}",
            std::env::var("PATH").unwrap()
        );
        for shell in ["cidery", "grpcurl"] {
            let mut command = Command::new("sh");
            succeeded(
                &command
                    .args(["-c", &text(shell)])
                    .env("PATH", &path)
                    .output()
                    .unwrap(),
            );
        }
        let mut command = Command::new(Path::new(&sdk).join("python"));
        command.env("PYTHONPATH", root().join("python/src"));
        succeeded(&command.args(["-c", &text("python")]).output().unwrap());
    }
}
