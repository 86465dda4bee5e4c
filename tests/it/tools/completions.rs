//! Completions: the script of bash as bash runs it, those of zsh and fish where these are installed, and what the
//! program answers them.

use std::process::Command;

use crate::support::Folder;
use crate::support::binary::{Server, cidery, stdout, tool};

/// What the program answers the script of bash for these words, the last of which is being typed.
fn complete(server: &str, folder: &Folder, words: &[&str]) -> Vec<String> {
    let output = cidery()
        .arg("--")
        .args(words)
        .env("CIDERY_NODE", server)
        .env("CIDERY_COMPLETE", "bash")
        .env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string())
        .env("_CLAP_IFS", "\n")
        .env("XDG_CONFIG_HOME", folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    stdout(&output).lines().map(str::to_owned).collect()
}

#[test]
fn names_that_the_node_knows_are_completed() {
    let (server, folder) = (Server::start(&[]), Folder::new("completions"));
    let cid = "0190f5a2-7b3c-7def-8123-000000000007";
    let invoke = ["invoke", "demo.count", "to=1", "--async", "--cid", cid];
    assert!(server.run(&invoke).status.success());
    let added = cidery()
        .args(["context", "add", "prod", "127.0.0.1:1"])
        .env("XDG_CONFIG_HOME", folder.path())
        .output();
    assert!(added.unwrap().status.success());
    let at = |words: &[&str]| complete(&server.address, &folder, &[&["cidery"], words].concat());
    assert_eq!(at(&["invoke", "customer.g"]), ["customer.get"]);
    assert_eq!(
        at(&["pipe", "--in-flight", "8", "customer.i"]),
        ["customer.import"]
    );
    assert_eq!(at(&["invoke", "customer.get", "cu"]), ["cust_id="]);
    assert_eq!(
        at(&["bench", "--rate", "5", "customer.get", "cu"]),
        ["cust_id="]
    );
    assert_eq!(at(&["result", "0190f5a2-7b"]), [cid]);
    assert_eq!(at(&["result", "la"]), ["last"]);
    // Only those that a command can change.
    assert!(
        server
            .run(&["result", cid, "--follow", "-q"])
            .status
            .success()
    );
    assert_eq!(at(&["explain", "0190f5a2-7b"]), [cid]);
    for command in ["cancel", "retry", "release"] {
        assert!(at(&[command, "0190f5a2-7b"]).is_empty(), "{command}");
    }
    let later = "0190f5a2-7b3c-7def-8123-000000000008";
    let invoke = [
        "invoke",
        "demo.count",
        "to=1",
        "--async",
        "--delay",
        "1h",
        "--cid",
        later,
    ];
    assert!(server.run(&invoke).status.success());
    assert_eq!(at(&["cancel", "0190f5a2-7b"]), [later]);
    assert_eq!(at(&["services", "--context", "p"]), ["prod"]);
    assert_eq!(at(&["context", "use", "p"]), ["prod"]);
    assert_eq!(at(&["invocations", "--state", "fa"]), ["failed"]);
    assert_eq!(at(&["invocations", "--filter", "acc"]), ["accept_time "]);
    let state = at(&["invocations", "--filter", "service = x AND state = FA"]);
    assert_eq!(state, ["service = x AND state = FAILED"]);
    assert_eq!(at(&["tail", "(state=FA"]), ["(state=FAILED"]);
    let service = at(&["tail", "dead_letter AND service = customer.g"]);
    assert_eq!(service, ["dead_letter AND service = customer.get"]);
    assert_eq!(at(&["invocat"]), ["invocations"]);
    // The node of the command line, and not that of the environment.
    assert!(at(&["--node", "127.0.0.1:1", "invoke", "customer.g"]).is_empty());
    assert!(
        at(&[
            "--context",
            "prod",
            "--node",
            &server.address,
            "invoke",
            "x"
        ])
        .is_empty()
    );
}

#[test]
fn a_node_that_does_not_answer_is_no_error() {
    let folder = Folder::new("completions-silent");
    // It accepts connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for node in [address.as_str(), "127.0.0.1:1", "no address", "https://x:1"] {
        assert!(complete(node, &folder, &["cidery", "invoke", "cust"]).is_empty());
    }
    // A file of contexts that is wrong.
    std::fs::create_dir(folder.path().join("cidery")).unwrap();
    std::fs::write(folder.path().join("cidery/contexts.toml"), "[").unwrap();
    assert!(complete("", &folder, &["cidery", "services", "--context", ""]).is_empty());
}

/// The script itself, in the shell that it is for.
#[test]
fn the_scripts_work_in_their_shells() {
    let (server, folder) = (Server::start(&[]), Folder::new("completions-shells"));
    let program = std::path::Path::new(env!("CARGO_BIN_EXE_cidery"));
    let path = format!(
        "{}:{}",
        program.parent().unwrap().display(),
        std::env::var("PATH").unwrap()
    );
    let bash = "source <(cidery completions bash)\n\
                COMP_WORDS=(cidery invoke customer.g); COMP_CWORD=2; COMP_TYPE=9\n\
                _clap_complete_cidery cidery customer.g invoke\n\
                printf '%s\\n' \"${COMPREPLY[@]}\"";
    let fish = "cidery completions fish | source; complete -C 'cidery invoke customer.g'";
    // The functions of zsh that a terminal would have are replaced.
    let zsh = "compdef() { : }; _describe() { local name=${@[-1]}; print -l -- \"${(@P)name}\" }\n\
               source <(cidery completions zsh)\n\
               words=(cidery invoke customer.g); CURRENT=3; _clap_dynamic_completer_cidery";
    let group = "completions in their shells";
    for (shell, script) in [
        (Some("bash".to_owned()), bash),
        (tool("CIDERY_FISH", group), fish),
        (tool("CIDERY_ZSH", group), zsh),
    ] {
        let Some(shell) = shell else { continue };
        let output = Command::new(&shell)
            .args(["-c", script])
            .env("PATH", &path)
            .env("HOME", folder.path())
            .env("XDG_CONFIG_HOME", folder.path())
            .env("CIDERY_NODE", &server.address)
            .output()
            .unwrap();
        let is_completed = stdout(&output).contains("customer.get");
        assert!(is_completed, "{shell}: {output:?}");
    }
}
