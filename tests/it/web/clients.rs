//! Clients in JavaScript with code of `protoc-gen-es`, over Connect and gRPC-Web: `tests/interop/web`.

use std::path::Path;
use std::process::Command;

use cidery::Node;
use cidery::engine::clock::Clock;

use crate::access::{admin, store_with};
use crate::support::Folder;
use crate::support::any_port;
use crate::support::binary::{stderr, stdout, tool};
use crate::support::programs::root;

/// Generates the code of the clients from the protos that a node exports.
fn generate(address: &str, key: &str, python: &str, modules: &str, out: &Path) {
    let protos = out.join("protos");
    let export = Command::new(env!("CARGO_BIN_EXE_cidery"))
        .args([
            "export",
            "proto",
            "--api",
            "--builtins",
            "--service",
            "customer.get",
        ])
        .args(["--node", address, "--out"])
        .arg(&protos)
        .env("CIDERY_API_KEY", key)
        .output()
        .unwrap();
    assert!(export.status.success(), "{}", stderr(&export));
    let generated = Command::new(python)
        .args([
            "-m",
            "grpc_tools.protoc",
            "--es_opt=target=js,import_extension=js",
        ])
        .arg(format!(
            "--plugin=protoc-gen-es={modules}/.bin/protoc-gen-es"
        ))
        .arg(format!("--es_out={}", out.display()))
        .arg("-I")
        .arg(&protos)
        .args([
            "cidery/v1/invocation.proto",
            "cidery/v1/outcome.proto",
            "google/api/annotations.proto",
            "google/api/http.proto",
            "google/rpc/error_details.proto",
            "customer/customer.proto",
        ])
        .output()
        .unwrap();
    assert!(generated.status.success(), "{}", stderr(&generated));
}

#[tokio::test]
async fn generated_clients_call_by_connect_and_grpc_web() {
    let group = "clients of Connect and gRPC-Web";
    let (Some(python), Some(modules)) = (
        tool("CIDERY_PYTHON", group),
        tool("CIDERY_WEB_MODULES", group),
    ) else {
        return;
    };
    let (store, [key]) = store_with([admin("page")], &Clock::System).await;
    let builder = Node::builder().store(store).demo().listen(any_port());
    let node = builder.start().await.unwrap();
    let address = node.address().unwrap().to_string();
    let folder = Folder::new("web");
    let key = key.expose().to_owned();
    let run = tokio::task::spawn_blocking(move || {
        let out = folder.path();
        generate(&address, &key, &python, &modules, out);
        // Modules are looked up beside the code that imports them.
        std::os::unix::fs::symlink(&modules, out.join("node_modules")).unwrap();
        std::fs::write(out.join("package.json"), r#"{"type":"module"}"#).unwrap();
        let program = root().join("tests/interop/web/client.js");
        std::fs::copy(program, out.join("client.js")).unwrap();
        Command::new("node")
            .current_dir(out)
            .args(["client.js", &format!("http://{address}")])
            .env("CIDERY_API_KEY", key)
            .output()
            .unwrap()
    });
    let output = run.await.unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    let lines: Vec<String> = stdout(&output).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 6, "{lines:?}");
    node.stop().await;
}
