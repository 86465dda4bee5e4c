//! `cidery key` and `cidery whoami`, on a data directory and on a running node.

use std::process::{Output, Stdio};

use crate::support::binary::{Server, cidery, stderr, stdout, tool};
use crate::support::schema::validate;
use crate::support::{Folder, secret_of};

fn schema() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../docs/cli.schema.json")).unwrap()
}

/// Runs `cidery key new` on a data directory. Returns the key.
pub(super) fn data_dir_with_key(folder: &Folder, arguments: &[&str]) -> String {
    let output = key(folder, &[&["new"], arguments].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    // The key alone is on standard output: `KEY=$(cidery key new …)`.
    let key = stdout(&output);
    let key = key.strip_suffix('\n').unwrap();
    assert!(key.starts_with("cdy_") && !key.contains('\n'), "{key}");
    assert!(!stderr(&output).contains(secret_of(key)));
    key.to_owned()
}

/// Runs `cidery key` on a data directory.
fn key(folder: &Folder, arguments: &[&str]) -> Output {
    cidery()
        .arg("key")
        .args(arguments)
        .arg("--data-dir")
        .arg(folder.path())
        .output()
        .unwrap()
}

/// A node on a data directory.
pub(super) fn serve(folder: &Folder, options: &[&str]) -> Server {
    let data_dir = folder.path().to_str().unwrap();
    Server::start(&[&["--data-dir", data_dir], options].concat())
}

fn run(server: &Server, key: &str, arguments: &[&str]) -> Output {
    let mut command = cidery();
    command.args(arguments).env("CIDERY_NODE", &server.address);
    if !key.is_empty() {
        command.env("CIDERY_API_KEY", key);
    }
    command.stdin(Stdio::null()).output().unwrap()
}

/// No node is there that would write it.
#[test]
fn a_key_that_is_made_or_revoked_on_the_data_directory_is_in_the_audit_log() {
    let folder = Folder::new("audited-keys");
    let audit = folder.path().join("audit.jsonl");
    let option = ["--audit-log", audit.to_str().unwrap()];
    let made = data_dir_with_key(&folder, &[&["root", "--admin"], &option[..]].concat());
    let revoked = key(&folder, &[&["revoke", &made], &option[..]].concat());
    assert!(revoked.status.success(), "{}", stderr(&revoked));
    let written = std::fs::read_to_string(&audit).unwrap();
    let events: Vec<serde_json::Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let names: Vec<_> = events
        .iter()
        .map(|it| it["event"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["key_created", "key_revoked"]);
    assert!(events[1]["what"].as_str().unwrap().ends_with(" root"));
    assert!(!written.contains(secret_of(&made)), "{written}");
    let nowhere = ["--audit-log", "/nowhere/audit.jsonl"];
    let refused = key(&folder, &[&["new", "bob"], &nowhere[..]].concat());
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(!stdout(&key(&folder, &["list"])).contains("bob"));
}

#[test]
fn the_first_key_is_made_on_the_data_directory() {
    let folder = Folder::new("keys");
    let root = data_dir_with_key(&folder, &["root", "--admin", "--invoke", "*"]);
    let server = serve(&folder, &[]);
    let refused = run(&server, "", &["invoke", "cidery.ping"]);
    assert!(
        stderr(&refused).contains("CIDERY_API_KEY"),
        "{}",
        stderr(&refused)
    );
    let whoami = stdout(&run(&server, &root, &["whoami"]));
    assert!(
        whoami.contains("root") && whoami.contains("yes"),
        "{whoami}"
    );
    // The data directory is that of the node now.
    let in_use = key(&folder, &["list"]);
    assert!(
        stderr(&in_use).contains("a node uses"),
        "{}",
        stderr(&in_use)
    );
}

/// A key with all that a key may have.
const NEW_KEY: [&str; 23] = [
    "key",
    "new",
    "billing",
    "--invoke",
    "cidery.*,customer.*",
    "--serve",
    "crm.*",
    "--read",
    "group",
    "--control",
    "none",
    "--group",
    "finance",
    "--expires",
    "90d",
    "--rate",
    "100/s burst=200",
    "--in-flight",
    "7",
    "--pending",
    "1000",
    "-o",
    "json",
];

#[test]
fn an_administrator_makes_keys_on_the_node() {
    let folder = Folder::new("keys-of-a-node");
    let root = data_dir_with_key(&folder, &["root", "--admin"]);
    let server = serve(&folder, &[]);
    let made = run(&server, &root, &NEW_KEY);
    let made: serde_json::Value = serde_json::from_str(&stdout(&made)).unwrap();
    assert_eq!(validate(&schema(), "new_api_key", &made), Ok(()));
    let billing = made["secret"].as_str().unwrap();
    assert_eq!(made["rights"]["invoke"][1], "customer.*");
    assert_eq!(made["rights"]["read"], "GROUP");
    assert_eq!(made["created_by"], "root");
    let quota = serde_json::json!({"rate": 100.0, "burst": 200, "in_flight": 7, "pending": 1000});
    assert_eq!(made["quota"], quota);
    let file = folder.path().join("billing.key");
    std::fs::write(&file, format!("{billing}\n")).unwrap();
    // The file, before and after the command.
    let file = file.to_str().unwrap();
    for arguments in [
        ["whoami", "--api-key-file", file, "-o", "json"],
        ["--api-key-file", file, "whoami", "-o", "json"],
    ] {
        let whoami = stdout(&run(&server, "", &arguments));
        let whoami: serde_json::Value = serde_json::from_str(&whoami).unwrap();
        assert_eq!(validate(&schema(), "caller", &whoami), Ok(()));
        assert_eq!(whoami["principal"], "billing");
        assert_eq!(whoami["credential"], "API_KEY");
        assert_eq!(whoami["rights"]["administer"], false);
        assert_eq!(whoami["quota"], quota);
    }
    let whoami = stdout(&run(&server, billing, &["whoami"]));
    assert!(
        whoami.contains("rate 100/s burst=200; in-flight 7; pending 1000"),
        "{whoami}"
    );
    let listed = stdout(&run(&server, &root, &["key", "list"]));
    assert!(
        listed.contains("finance") && listed.contains("VALID") && listed.contains("pending 1000"),
        "{listed}"
    );
    let id = made["id"].as_str().unwrap();
    let revoked = run(&server, &root, &["key", "revoke", id]);
    assert!(revoked.status.success(), "{}", stderr(&revoked));
    let refused = run(&server, billing, &["whoami"]);
    assert!(
        stderr(&refused).contains("was revoked"),
        "{}",
        stderr(&refused)
    );
    let unknown = run(&server, &root, &["key", "revoke", "x"]);
    assert_eq!(unknown.status.code(), Some(4), "{}", stderr(&unknown));
    drop(server);
    let listed = stdout(&key(&folder, &["list", "-o", "json"]));
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    for key in listed.as_array().unwrap() {
        assert_eq!(validate(&schema(), "api_key", key), Ok(()));
    }
    // It was stored.
    assert_eq!(listed[0]["quota"], quota);
    assert_eq!(listed[1]["quota"], serde_json::Value::Null);
    assert!(!listed.to_string().contains("secret"), "{listed}");
}

#[test]
fn a_node_without_keys_says_how_to_make_the_first_one() {
    let server = Server::start(&[]);
    let refused = run(&server, "", &["key", "new", "root", "--admin"]);
    assert!(
        stderr(&refused).contains("--data-dir"),
        "{}",
        stderr(&refused)
    );
    let whoami = stdout(&run(&server, "", &["whoami"]));
    assert!(whoami.contains("authentication is off"), "{whoami}");
}

#[test]
fn a_refused_key_leaves_no_data_directory() {
    let folder = Folder::new("refused-key");
    let missing = folder.path().join("none");
    for arguments in [
        ["key", "new", "a b", "--data-dir"].as_slice(),
        &["key", "new", "a", "--invoke", "a b", "--data-dir"],
        &["key", "list", "--data-dir"],
        &["key", "revoke", "x", "--data-dir"],
    ] {
        let output = cidery().args(arguments).arg(&missing).output().unwrap();
        assert!(!output.status.success());
        assert!(!missing.exists(), "{arguments:?}");
    }
}

#[test]
fn grpcurl_sends_a_key_as_a_header() {
    let Some(grpcurl) = tool("CIDERY_GRPCURL", "grpcurl with a key") else {
        return;
    };
    let folder = Folder::new("grpcurl-key");
    let key = data_dir_with_key(&folder, &["crm", "--invoke", "*"]);
    let server = serve(&folder, &[]);
    let call = |headers: &[&str]| {
        let output = std::process::Command::new(&grpcurl)
            .arg("-plaintext")
            .args(headers)
            .args(["-d", r#"{"service":"cidery.ping"}"#, &server.address])
            .arg("cidery.v1.InvocationService/Invoke")
            .output()
            .unwrap();
        format!("{}{}", stdout(&output), stderr(&output))
    };
    let header = format!("authorization: Bearer {key}");
    let answer = call(&["-H", &header]);
    assert!(answer.contains("pong"), "{answer}");
    let answer = call(&[]);
    assert!(answer.contains("Unauthenticated"), "{answer}");
    let answer = call(&["-H", "authorization: Bearer cdy_a_b"]);
    assert!(answer.contains("Unauthenticated"), "{answer}");
}
