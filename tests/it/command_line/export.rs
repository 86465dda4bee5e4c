//! `cidery export proto`: what it writes and replaces, and what it says about the rest.

use std::fs;
use std::process::Output;

use cidery::sio::{Int, Sio};
use cidery::{Definition, Dict, Node};

use crate::support::binary::{Server, cidery, stderr, stdout, tool};
use crate::support::{Folder, TestNode, echo};

fn export(server: &Server, folder: &Folder, options: &[&str]) -> Output {
    let out = folder.path().to_str().unwrap();
    server.run(&[&["export", "proto", "--out", out], options].concat())
}

#[test]
fn files_of_others_are_not_replaced() {
    let server = Server::start(&[]);
    let folder = Folder::new("export-force");
    let path = folder.path().join("customer/customer.proto");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "syntax = \"proto3\";\n").unwrap();
    let refused = export(&server, &folder, &["--builtins"]);
    assert_eq!(refused.status.code(), Some(3));
    let message = stderr(&refused);
    assert!(
        message.contains("FILE_EXISTS") && message.contains("customer/customer.proto` exists"),
        "{message}"
    );
    // Nothing at all was written.
    assert_eq!(fs::read_to_string(&path).unwrap(), "syntax = \"proto3\";\n");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let forced = export(&server, &folder, &["--builtins", "--force"]);
    assert!(forced.status.success(), "{}", stderr(&forced));
    assert!(fs::read_to_string(&path).unwrap().contains("rpc Get("));
}

#[test]
fn an_export_says_what_it_replaces_and_what_stays() {
    let server = Server::start(&[]);
    let folder = Folder::new("export-again");
    let all = ["--builtins", "--api"];
    let notes = stderr(&export(&server, &folder, &all));
    assert!(notes.ends_with(" created\n"), "{notes}");
    let notes = stderr(&export(&server, &folder, &all));
    assert!(notes.ends_with(" unchanged\n"), "{notes}");
    // A file that is not of an export is nothing to report.
    fs::write(folder.path().join("mine.proto"), "").unwrap();
    let output = export(&server, &folder, &["--service", "customer.get"]);
    let written: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    assert_eq!(written.len(), 3, "{written:?}");
    let notes = stderr(&output);
    for expected in [
        "1 replaced, 2 unchanged\n",
        "customer/customer.proto` had methods that are not part of this export: `Import`, `ImportAsync`\n",
        "demo/demo.proto` is of an earlier export",
    ] {
        assert!(notes.contains(expected), "{expected}\n{notes}");
    }
    // Nor are Cidery's own files, which the client needs.
    for unnamed in ["mine.proto", "cidery/v1", "google/rpc"] {
        assert!(!notes.contains(unnamed), "{unnamed}\n{notes}");
    }
    let output = export(&server, &folder, &["--service", "customer.get", "-q"]);
    assert_eq!(stderr(&output), "");
    let output = export(
        &server,
        &folder,
        &["--service", "customer.get", "-o", "jsonl"],
    );
    assert!(stdout(&output).contains("\"change\":\"unchanged\""));
}

/// Gateways read the path of a method over plain HTTP from its options.
#[tokio::test(flavor = "multi_thread")]
async fn methods_have_their_paths_unless_they_are_left_out() {
    let dict = Sio::new().input(Int("n")).output(Int("n"));
    let list = dict.clone().list_input().list_output();
    let builder = Node::builder()
        .register(echo("shop.buy-one", dict))
        .register(echo("shop.buy-all", list));
    let node = TestNode::start(builder).await;
    let folder = Folder::new("export-http");
    let out = folder.path().to_str().unwrap().to_owned();
    let address = node.address().to_string();
    let run = move |more: &'static [&str]| {
        let mut args = vec![
            "export", "proto", "--node", &address, "--out", &out, "--force",
        ];
        args.extend(more);
        let output = cidery().args(&args).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        fs::read_to_string(format!("{out}/shop/shop.proto")).unwrap()
    };
    let go = &["--go-package", "example.com/x"][..];
    let go_annotated = &["--go-package", "example.com/x", "--http-annotations"][..];
    let texts = tokio::task::spawn_blocking(move || {
        let plain = [run(&["--no-http-annotations"]), run(go)];
        // The last one is compiled below.
        (plain, [run(go_annotated), run(&[])])
    });
    let (plain, [of_go, annotated]) = texts.await.unwrap();
    assert!(
        plain.iter().all(|text| !text.contains("google")),
        "{plain:?}"
    );
    assert!(of_go.contains("option (google.api.http)"), "{of_go}");
    let buy_one = "  rpc BuyOne(BuyOneRequest) returns (BuyOneResponse) {\n    option (google.api.http) = {\n      \
                   post: \"/invoke/shop.buy-one\"\n      body: \"*\"\n    };\n  }\n";
    assert!(annotated.contains(buy_one), "{annotated}");
    // A list is in the only field of its message.
    let buy_all = "      post: \"/invoke/shop.buy-all\"\n      body: \"items\"\n      response_body: \"items\"\n";
    assert!(annotated.contains(buy_all), "{annotated}");
    assert!(
        annotated.contains("rpc BuyOneAsync(BuyOneAsyncRequest) returns (BuyOneAsyncResponse);")
    );
    let Some(python) = tool("CIDERY_PYTHON", "the options of google.api.http") else {
        return;
    };
    let compiled = std::process::Command::new(python)
        .args(["-m", "grpc_tools.protoc", "-I", "."])
        .args(["--descriptor_set_out=/dev/null", "shop/shop.proto"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", stderr(&compiled));
}

/// Without the declaration of its input, a service has no typed method.
#[tokio::test(flavor = "multi_thread")]
async fn services_without_a_typed_method_are_named_with_the_reason() {
    let declared = Sio::new().input(Int("n")).output(Int("n"));
    let undeclared = Definition::new("shop.ping", async |input: Dict| input).unwrap();
    let builder = Node::builder()
        .demo()
        .register(echo("shop.price", declared.clone()))
        .register(echo("grpc.price", declared))
        .register(undeclared);
    let node = TestNode::start(builder).await;
    let folder = Folder::new("export-left-out");
    let address = node.address().to_string();
    let output = cidery()
        .args(["export", "proto", "--node", &address, "--out"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(stdout(&output).ends_with("shop/shop.proto\n"));
    let undeclared = "neither its input nor its output is declared";
    let expected = format!(
        "`grpc.price` is left out: the package `grpc` is reserved: choose another name\n\
         `shop.ping` is left out: {undeclared}\n3 created\n"
    );
    let notes = stderr(&output);
    let (others, left_out) = notes.split_at_checked(expected.len()).expect(&notes);
    assert_eq!(others, expected);
    assert!(
        left_out.ends_with(" built-in and demo services are left out: `--builtins` exports them\n"),
        "{notes}"
    );
}

#[test]
fn the_api_comes_with_the_messages_of_error_details() {
    let folder = Folder::new("export-api");
    let export = |options: &[&str]| {
        let mut command = cidery();
        command.args(["export", "proto", "--api", "-q", "--node", "127.0.0.1:1"]);
        let out = folder.path().to_str().unwrap();
        let output = command.args(["--out", out]).args(options).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
    export(&[]);
    let header = "// Generated by `cidery export proto --api`.\n\n";
    let status = include_str!("../../../third_party/google/rpc/status.proto");
    assert_eq!(read("google/rpc/status.proto"), format!("{header}{status}"));
    assert!(status.contains("Licensed under the Apache License"));
    assert!(read("google/rpc/error_details.proto").contains("message ErrorInfo"));
    // Generated Go code has them from a module: two copies would be registered.
    let listed = export(&[
        "--go-package",
        "example.com/stubs",
        "--java-package",
        "com.x",
    ]);
    assert!(!listed.contains("google/rpc"), "{listed}");
    let worker = include_str!("../../../proto/cidery/v1/worker.proto");
    let options = "\
        option go_package = \"example.com/stubs/cidery/v1;cideryv1pb\";\n\
        option java_multiple_files = true;\n\
        option java_outer_classname = \"WorkerProto\";\n\
        option java_package = \"com.x.cidery.v1\";\n\n";
    let written = read("cidery/v1/worker.proto");
    assert!(written.contains(options), "{written}");
    assert_eq!(
        written.replacen(options, "", 1),
        format!("{header}{worker}")
    );
}

#[test]
fn package_names_are_checked() {
    for (option, name, expected) in [
        ("--go-package", "https://example.com/x", "no scheme"),
        ("--go-package", "example.com/x;stubs", "remove `;stubs`"),
        (
            "--go-package",
            "a b",
            "use a Go import path such as `example.com/stubs`",
        ),
        (
            "--java-package",
            "com-example",
            "use a Java package such as `com.example`",
        ),
        ("--java-package", "com.new", "`new` is a keyword of Java"),
    ] {
        let output = cidery()
            .args(["export", "proto", option, name, "--node", "127.0.0.1:1"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}");
        assert!(stderr(&output).contains(expected), "{}", stderr(&output));
    }
}
