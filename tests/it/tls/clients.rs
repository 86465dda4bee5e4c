//! The clients of `examples/` in other languages, and grpcurl.

use std::path::Path;
use std::process::Command;

use cidery::Value;
use cidery::codec::json;

use crate::support::Folder;
use crate::support::binary::{Server, stderr, stdout, tool};
use crate::support::certificates::{Ca, write};
use crate::support::programs::{Program, Role, go, java, node, python};

/// A node with a certificate, and the files of its CA and of another one.
struct Files {
    _folder: Folder,
    server: Server,
    right: std::path::PathBuf,
    wrong: std::path::PathBuf,
}

impl Files {
    fn new() -> Self {
        let (folder, ca) = (Folder::new("clients"), Ca::new());
        let (certificate, key) = ca.node().write(&folder, "node");
        let options = ["--tls-cert", certificate.to_str().unwrap(), "--tls-key"];
        Self {
            server: Server::start(&[&options[..], &[key.to_str().unwrap()]].concat()),
            right: write(&folder, "right.pem", &ca.pem),
            wrong: write(&folder, "wrong.pem", &Ca::new().pem),
            _folder: folder,
        }
    }
}

/// Runs a client with the right CA, and with a wrong one.
fn calls(program: Option<Program>) {
    let Some(program) = program else { return };
    let files = Files::new();
    let run = |ca: &Path| {
        let mut command = program.command();
        command.env("CIDERY_CA", ca).env("GRPC_VERBOSITY", "NONE");
        let address = files.server.address.as_str();
        command.args([address, "customer.get", "{\"cust_id\": 1}", "sync", "20"]);
        command.output().unwrap()
    };
    let right = run(&files.right);
    let answer = json::read(stdout(&right).trim().as_bytes()).expect(&stderr(&right));
    assert_eq!(answer["cust_name"], Value::from("Alexis Smith"));
    let wrong = run(&files.wrong);
    assert_eq!(wrong.status.code(), Some(3), "{}", stderr(&wrong));
    assert!(
        stderr(&wrong)
            .lines()
            .any(|line| line.starts_with("UNAVAILABLE: ")),
        "{}",
        stderr(&wrong)
    );
}

#[test]
fn a_python_client_calls() {
    calls(python(Role::Client));
}

#[test]
fn a_go_client_calls() {
    calls(go(Role::Client));
}

#[test]
fn a_node_client_calls() {
    calls(node(Role::Client));
}

#[test]
fn a_java_client_calls() {
    calls(java(Role::Client));
}

#[test]
fn grpcurl_calls() {
    let Some(grpcurl) = tool("CIDERY_GRPCURL", "grpcurl") else {
        return;
    };
    let files = Files::new();
    let address = files.server.address.strip_prefix("https://").unwrap();
    let run = |ca: &Path| {
        let mut command = Command::new(&grpcurl);
        command.arg("-cacert").arg(ca);
        command.args(["-d", "{\"cust_id\": 1}", address, "customer.Service/Get"]);
        command.output().unwrap()
    };
    let right = run(&files.right);
    let answer = json::read(stdout(&right).as_bytes()).expect(&stderr(&right));
    assert_eq!(answer["cust_name"], Value::from("Alexis Smith"));
    assert!(!run(&files.wrong).status.success());
    let plain = Command::new(&grpcurl)
        .args(["-plaintext", address, "list"])
        .output()
        .unwrap();
    assert!(
        stderr(&plain).contains("this port uses TLS"),
        "{}",
        stderr(&plain)
    );
}
