//! The commands with which `docs/security.md` turns authentication on, run as shown.

use std::path::Path;
use std::process::Command;

use super::command_line::serve;
use crate::plain_http::client::call;
use crate::support::binary::{cidery, stderr, stdout};
use crate::support::console::blocks;
use crate::support::{Folder, secret_of};

const DOCUMENT: &str = include_str!("../../../docs/security.md");

#[test]
fn authentication_is_turned_on_in_five_commands() {
    let folder = Folder::new("document");
    let data_dir = folder.path().to_str().unwrap();
    let commands: Vec<&str> = blocks(DOCUMENT, "sh")[0].lines().collect();
    let [first_key, start, others @ ..] = commands.as_slice() else {
        panic!("{commands:?}");
    };
    assert_eq!(commands.len(), 5);
    let key = shell(
        &format!("{first_key}; echo $CIDERY_API_KEY"),
        data_dir,
        "",
        "",
    );
    let key = key.trim();
    assert_eq!(*start, "cidery serve --demo --data-dir ./cidery-data &");
    let server = serve(&folder, &[]);
    let printed = others
        .iter()
        .map(|it| shell(it, data_dir, &server.address, key));
    let printed: Vec<_> = printed.collect();
    assert!(printed[0].contains("root"), "{}", printed[0]);
    assert!(printed[1].starts_with("cdy_"), "{}", printed[1]);
    assert!(printed[2].contains("billing"), "{}", printed[2]);
    // The client that has no key.
    let refused = cidery()
        .args([
            "invoke",
            "customer.get",
            "cust_id=1",
            "--node",
            &server.address,
        ])
        .output()
        .unwrap();
    assert!(
        stderr(&refused).contains("CIDERY_API_KEY"),
        "{}",
        stderr(&refused)
    );
}

/// The options of tokens and the audit log start a node.
#[test]
fn a_node_takes_the_options_of_tokens_as_shown() {
    let folder = Folder::new("document-tokens");
    let jwks = folder.path().join("keys.json");
    let key = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    std::fs::write(&jwks, key).unwrap();
    let audit = folder.path().join("audit.jsonl");
    let shown = blocks(DOCUMENT, "sh")[1];
    let arguments = shown.replace("\\\n", " ");
    let arguments = arguments.strip_prefix("cidery serve ").unwrap();
    let arguments = arguments.replace("keys.json", jwks.to_str().unwrap());
    let mut options: Vec<&str> = Vec::new();
    for (n, part) in arguments.split('\'').enumerate() {
        match n % 2 {
            0 => options.extend(part.split_whitespace()),
            _ => options.push(part),
        }
    }
    options.extend(["--audit-log", audit.to_str().unwrap()]);
    let server = crate::support::binary::Server::start(&options);
    let refused = server.run(&["whoami"]);
    assert!(
        stderr(&refused).contains("CIDERY_API_KEY"),
        "{}",
        stderr(&refused)
    );
    drop(server);
}

/// What the audit log of the test has.
const AUDITED: [&[(&str, &str)]; 10] = [
    &[
        ("event", "first_use"),
        ("principal", "root"),
        ("credential", "api_key"),
    ],
    &[
        ("event", "connected"),
        ("principal", "root"),
        ("peer", "127.0.0.1"),
    ],
    &[
        ("event", "key_created"),
        ("principal", "root"),
        ("what", "billing"),
    ],
    &[
        ("event", "act"),
        ("what", "AdminService/PauseService"),
        ("outcome", "Ok"),
    ],
    &[
        ("event", "act"),
        ("what", "SecurityService/CreateApiKey"),
        ("outcome", "Ok"),
    ],
    &[
        ("event", "refused"),
        ("principal", "billing"),
        ("what", "administer the node"),
        ("reason", "NOT_PERMITTED"),
    ],
    &[
        ("event", "refused"),
        ("principal", "billing"),
        ("what", "invoke customer.get"),
        ("reason", "NOT_PERMITTED"),
    ],
    &[
        ("event", "refused"),
        ("credential", "none"),
        ("reason", "CREDENTIAL_INVALID"),
    ],
    &[
        ("event", "log_in"),
        ("principal", "root"),
        ("peer", "127.0.0.1"),
    ],
    &[("event", "log_out"), ("principal", "root")],
];

/// What the audit log has of a key, an act, and refusals.
#[test]
fn the_audit_log_has_who_did_what() {
    let folder = Folder::new("audit");
    let audit = folder.path().join("audit.jsonl");
    let key =
        super::command_line::data_dir_with_key(&folder, &["root", "--admin", "--invoke", "*"]);
    let mut server = serve(
        &folder,
        &["--audit-log", audit.to_str().unwrap(), "--log", "error"],
    );
    let run = |key: &str, arguments: &[&str]| {
        let mut command = cidery();
        command.args(arguments).env("CIDERY_NODE", &server.address);
        command.env("CIDERY_API_KEY", key).output().unwrap()
    };
    let made = run(&key, &["key", "new", "billing"]);
    let billing = stdout(&made).trim().to_owned();
    run(&key, &["service", "pause", "customer.get"]);
    run(&billing, &["key", "list"]);
    run(&billing, &["invoke", "customer.get"]);
    run("cdy_x_y", &["whoami"]);
    let cookie = log_in_and_out(&server.address, &key);
    server.terminate();
    let text = std::fs::read_to_string(&audit).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<serde_json::Value> = lines.collect();
    let has = |fields: &[(&str, &str)]| {
        lines.iter().any(|line| {
            let mut fields = fields.iter();
            fields.all(|(name, value)| line[name].as_str().is_some_and(|it| it.contains(value)))
        })
    };
    for fields in AUDITED {
        assert!(has(fields), "{fields:?} in {text}");
    }
    // Each has the address that it came from.
    for line in &lines {
        let peer = line["peer"].as_str().unwrap_or_default();
        let is_key = line["event"].as_str().unwrap().starts_with("key_");
        assert!(peer.starts_with("127.0.0.1:") || is_key, "{line}");
    }
    for key in [&key, &billing] {
        assert!(!text.contains(secret_of(key)), "{text}");
    }
    assert!(!text.contains(&cookie), "{text}");
    assert_eq!(mode(&audit), 0o600);
}

/// Has a session of the console for a moment. Returns the value of its cookie.
fn log_in_and_out(address: &str, key: &str) -> String {
    let address = address.parse().unwrap();
    let (json, page) = ("content-type: application/json", "cidery-console: 1");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let body = format!("{{\"api_key\":\"{key}\"}}");
        let begun = call(address, "POST /console/session", &[json, page], &body).await;
        let set = begun.header("set-cookie").unwrap();
        let cookie = set.split(';').next().unwrap();
        let header = format!("cookie: {cookie}");
        let ended = call(address, "DELETE /console/session", &[&header, page], "").await;
        assert_eq!(ended.status, 204, "{ended:?}");
        cookie.split_once('=').unwrap().1.to_owned()
    })
}

fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

/// Runs a command of the document, with the data directory, the node and the key of the test.
fn shell(command: &str, data_dir: &str, node: &str, key: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_cidery")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args(["-c", &command.replace("./cidery-data", data_dir)])
        .env("PATH", format!("{}:{path}", binary.display()))
        .env("CIDERY_NODE", node)
        .env("CIDERY_API_KEY", key)
        .output()
        .unwrap();
    assert!(output.status.success(), "{command}: {}", stderr(&output));
    stdout(&output)
}
