//! The command line: `cert dev`, a node with its files, and commands that connect to it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cidery::codec::json;

use crate::support::Folder;
use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::schema::validate;

/// Runs `cert dev` in a folder.
fn cert_dev(folder: &Path, options: &[&str]) -> std::process::Output {
    let mut command = cidery();
    command
        .args(["cert", "dev"])
        .args(options)
        .current_dir(folder);
    command.output().unwrap()
}

#[expect(
    clippy::too_many_lines,
    reason = "one first try, from the files to the refusals"
)]
#[test]
fn cert_dev_makes_all_that_a_first_try_needs() {
    let folder = Folder::new("cert-dev");
    let made = cert_dev(folder.path(), &["-o", "json", "--host", "node.example"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let schema = include_str!("../../../docs/cli.schema.json");
    let (schema, object) = (
        serde_json::from_str(schema),
        serde_json::from_str(&stdout(&made)),
    );
    validate(&schema.unwrap(), "cert_dev", &object.unwrap()).unwrap();
    let files = json::read(stdout(&made).as_bytes()).unwrap();
    let path = |name: &str| folder.path().join(files[name].as_text().unwrap());
    for key in ["tls_key", "key"] {
        let mode = path(key).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    let again = cert_dev(folder.path(), &[]);
    assert!(!again.status.success());
    assert!(
        stderr(&again).contains("server-key.pem"),
        "{}",
        stderr(&again)
    );

    let text = |name: &str| path(name).to_str().unwrap().to_owned();
    let (cert, key, ca) = (text("tls_cert"), text("tls_key"), text("ca"));
    let options = [
        "--tls-cert",
        &cert,
        "--tls-key",
        &key,
        "--tls-client-ca",
        &ca,
    ];
    let server = Server::start(&options);
    let (client, client_key) = (text("cert"), text("key"));
    let called = server.run(&[
        "invoke",
        "cidery.ping",
        "--ca",
        &ca,
        "--cert",
        &client,
        "--key",
        &client_key,
    ]);
    assert!(called.status.success(), "{}", stderr(&called));
    // Options before the command, and from the environment.
    let mut command = cidery();
    command.args(["--ca", &ca, "status", "-o", "json"]);
    command.env("CIDERY_NODE", &server.address);
    command
        .env("CIDERY_CERT", &client)
        .env("CIDERY_KEY", &client_key);
    let status = command.output().unwrap();
    let status =
        json::read(stdout(&status).as_bytes()).unwrap_or_else(|_| panic!("{}", stderr(&status)));
    let names = status["certificate"]["names"].to_string();
    assert!(names.contains("node.example"), "{names}");

    for (options, says) in [
        (&["--ca", &ca][..], "requires a client certificate"),
        (&[], "not from a CA that this client trusts"),
    ] {
        let refused = server.run(&[&["services"], options].concat());
        assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
    }
    let plain = server.address.strip_prefix("https://").unwrap();
    let refused = server.run(&["services", "--node", plain]);
    assert!(
        stderr(&refused).contains("this port uses TLS"),
        "{}",
        stderr(&refused)
    );
    let refused = server.run(&["services", "--node", plain, "--ca", &ca]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    let refused = server.run(&["completions", "bash", "--ca", &ca]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
}

#[test]
fn a_node_warns_of_a_key_that_others_can_read_and_never_shows_it() {
    let folder = Folder::new("key-mode");
    assert!(cert_dev(folder.path(), &["--dir", "."]).status.success());
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let key = file("server-key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let mut server = Server::start(&[
        "--tls-cert",
        &file("server.pem"),
        "--tls-key",
        &key,
        "--log",
        "trace",
    ]);
    let ca = file("ca.pem");
    assert!(server.run(&["services", "--ca", &ca]).status.success());
    let (log, _) = server.terminate();
    assert!(
        log.contains("other users of this machine can read the private key"),
        "{log}"
    );
    let text = std::fs::read_to_string(&key).unwrap();
    assert!(!log.contains(text.lines().nth(1).unwrap()));
}

#[test]
fn options_of_tls_come_together() {
    for options in [
        &["--tls-cert", "a.pem"][..],
        &["--tls-key", "a.pem"],
        &["--tls-client-ca", "a.pem"],
        &["--tls-client-crl", "a.pem"],
        &["--certificate-rule", "a.example"],
        &[
            "--tls-cert",
            "a.pem",
            "--tls-key",
            "b.pem",
            "--tls-client-auth",
            "optional",
        ],
    ] {
        let refused = cidery().arg("serve").args(options).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "{options:?}");
        assert!(stderr(&refused).contains("needs `tls_"), "{options:?}");
    }
    let folder = Folder::new("options");
    let missing = folder.path().join("none.pem");
    let missing = missing.to_str().unwrap();
    let refused = cidery()
        .args([
            "serve",
            "--in-memory",
            "--tls-cert",
            missing,
            "--tls-key",
            missing,
        ])
        .output()
        .unwrap();
    let said = stderr(&refused);
    assert!(
        said.contains("tls_cert") && said.contains("tls_key"),
        "{said}"
    );
}
