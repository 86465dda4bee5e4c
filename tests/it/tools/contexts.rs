//! `cidery context`, and which context a command uses.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::support::Folder;
use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::schema::validate;

/// Runs a command with its own file of contexts.
fn run(folder: &Folder, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    cidery()
        .args(arguments)
        .env("XDG_CONFIG_HOME", folder.path())
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn file(folder: &Folder) -> std::path::PathBuf {
    folder.path().join("cidery/contexts.toml")
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[track_caller]
fn assert_refused(output: &Output, message: &str) {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(output).contains(message), "{message}: {output:?}");
}

#[test]
fn commands_use_the_context_that_is_named_or_current() {
    let (server, folder) = (Server::start(&[]), Folder::new("contexts"));
    let address = server.address.as_str();
    let none = run(&folder, &["context", "list"], &[]);
    assert_eq!((stdout(&none).as_str(), none.status.code()), ("", Some(0)));
    let added = run(&folder, &["context", "add", "here", address], &[]);
    assert!(added.status.success(), "{}", stderr(&added));
    assert_eq!(mode(&file(&folder)), 0o600);
    let lost = ["context", "add", "lost", "127.0.0.1:1"];
    assert!(run(&folder, &lost, &[]).status.success());

    // The first one is the current one.
    let current = run(&folder, &["whoami", "-o", "json"], &[]);
    let caller: Value = serde_json::from_str(&stdout(&current)).unwrap();
    assert_eq!(
        (&caller["context"], &caller["node"]),
        (&"here".into(), &address.into())
    );
    let failed = run(&folder, &["services", "--context", "lost"], &[]);
    assert_eq!(failed.status.code(), Some(6));
    assert!(stderr(&failed).contains("  context: lost\n"), "{failed:?}");
    let failed = run(&folder, &["services"], &[("CIDERY_CONTEXT", "lost")]);
    assert_eq!(failed.status.code(), Some(6));
    assert!(
        run(&folder, &["context", "use", "lost"], &[])
            .status
            .success()
    );
    assert_eq!(run(&folder, &["services"], &[]).status.code(), Some(6));

    // A node that is given is used without a context.
    for (arguments, environment) in [
        (&["whoami", "--node", address][..], &[][..]),
        (&["whoami"], &[("CIDERY_NODE", address)]),
    ] {
        let given = run(&folder, arguments, environment);
        assert!(given.status.success(), "{given:?}");
        assert!(!stdout(&given).contains("lost"), "{given:?}");
    }
}

#[test]
fn contexts_are_listed_shown_replaced_and_removed() {
    let folder = Folder::new("contexts-list");
    let ca = folder.path().join("ca.pem");
    let ca = ca.to_str().unwrap();
    let add = [
        "context",
        "add",
        "prod",
        "https://cidery.example",
        "--ca",
        ca,
        "--key-file",
        "k",
    ];
    // What the environment names is for another node.
    let environment = [
        ("CIDERY_API_KEY_FILE", "/other"),
        ("CIDERY_KEY", "/k"),
        ("CIDERY_CERT", "/c"),
    ];
    assert!(run(&folder, &add, &environment).status.success());
    let schema = serde_json::from_str(include_str!("../../../docs/cli.schema.json")).unwrap();
    for command in [
        &["context", "list"][..],
        &["context", "show"],
        &["context", "show", "prod"],
    ] {
        let shown = run(&folder, &[command, &["-o", "jsonl"]].concat(), &[]);
        let context: Value = serde_json::from_str(&stdout(&shown)).unwrap();
        validate(&schema, "context", &context).unwrap();
        assert_eq!(
            (&context["ca"], &context["cert"]),
            (&ca.into(), &Value::Null)
        );
        let key = context["api_key_file"].as_str().unwrap();
        assert!(Path::new(key).is_absolute() && key.ends_with("/k"), "{key}");
    }
    let replaced = run(
        &folder,
        &["context", "add", "prod", "127.0.0.1:1"],
        &environment,
    );
    assert!(stdout(&replaced).contains("127.0.0.1:1"), "{replaced:?}");
    assert!(
        !std::fs::read_to_string(file(&folder))
            .unwrap()
            .contains("ca")
    );
    let removed = run(&folder, &["context", "remove", "prod"], &[]);
    assert!(
        stderr(&removed).contains("no context is the current one"),
        "{removed:?}"
    );
    assert_refused(&run(&folder, &["context", "show"], &[]), "context list");
}

#[test]
fn a_file_that_is_wrong_or_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("contexts-wrong");
    let path = file(&folder);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    for (text, message) in [
        (
            "[contexts.a]\nnode = 'x'\ncertt = 'y'",
            "did you mean `cert`?",
        ),
        ("[contexts.a]\nca = 'x'", "has no `node`"),
        ("curent = 'a'", "did you mean `current`?"),
        (
            "current = 'b'\n[contexts.prod]\nnode = 'x'",
            "there is no context `b`",
        ),
        ("contexts = [", "contexts.toml"),
    ] {
        std::fs::write(&path, text).unwrap();
        assert_refused(&run(&folder, &["services"], &[]), message);
    }
    std::fs::write(&path, "[contexts.prod]\nnode = 'x'").unwrap();
    let misspelled = run(&folder, &["services", "--context", "prd"], &[]);
    assert_refused(&misspelled, "did you mean `prod`?");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o620)).unwrap();
    let refused = run(&folder, &["services", "--context", "prod"], &[]);
    assert_refused(&refused, "other users may write it (mode 620)");
    // It is not read where a node is given.
    let given = run(&folder, &["services", "--node", "127.0.0.1:1"], &[]);
    assert_eq!(given.status.code(), Some(6), "{given:?}");
}

#[test]
fn options_that_have_no_effect_are_refused() {
    let folder = Folder::new("contexts-options");
    for (arguments, message) in [
        (
            &["context", "add", "a", "x", "--node", "y"][..],
            "it has no `--node`",
        ),
        (&["context", "list", "--ca", "y"], "it has no `--ca`"),
        (
            &["config", "schema", "--context", "y"],
            "it has no `--context`",
        ),
        (
            &["context", "add", "a", "x", "--ca", "y"],
            "are for a node at `https://`",
        ),
        (&["context", "add", "a b", "x"], "use letters"),
        (&["context", "add", "a", "x y"], "is not an address"),
        (&["services", "--ca", "y"], "--node https://127.0.0.1:24337"),
    ] {
        assert_refused(&run(&folder, arguments, &[]), message);
    }
    assert!(!file(&folder).exists());
}

/// The API key of a context is sent to its node, and to no other.
#[test]
fn the_key_of_a_context_is_for_its_node() {
    let folder = Folder::new("contexts-key");
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let made = run(
        &folder,
        &["key", "new", "ann", "--data-dir", data, "--admin"],
        &[],
    );
    assert!(made.status.success(), "{}", stderr(&made));
    let key = folder.path().join("ann.key");
    std::fs::write(&key, stdout(&made)).unwrap();
    let server = Server::start(&["--data-dir", data]);
    let add = [
        "context",
        "add",
        "ann",
        &server.address,
        "--api-key-file",
        key.to_str().unwrap(),
    ];
    assert!(run(&folder, &add, &[]).status.success());
    let whoami = run(&folder, &["whoami"], &[]);
    assert!(stdout(&whoami).contains("ann"), "{whoami:?}");
    let without = run(&folder, &["whoami", "--node", &server.address], &[]);
    assert!(
        stderr(&without).contains("CREDENTIAL_REQUIRED"),
        "{without:?}"
    );
    // The environment is used in place of the context's key.
    let other = run(&folder, &["whoami"], &[("CIDERY_API_KEY", "cdy_x_y")]);
    assert!(stderr(&other).contains("CREDENTIAL_INVALID"), "{other:?}");
}
