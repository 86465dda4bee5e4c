//! A key is in no log, error, debug form or list of processes.

use std::process::Stdio;

use cidery::remote::client::ContractClient;
use cidery::{ClientCredential, Worker};

use super::command_line::{data_dir_with_key, serve};
use crate::support::binary::{cidery, stderr};
use crate::support::{Folder, secret_of};

/// The node and the clients log all they can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_in_no_log() {
    let folder = Folder::new("secrets");
    let key = data_dir_with_key(&folder, &["root", "--admin", "--invoke", "*"]);
    let secret = secret_of(&key).to_owned();
    let wrong = "cdy_0123456789abcdef_thewrongsecretthewrongsecretthewrong";
    let mut server = serve(&folder, &["--log", "trace"]);
    // Lines that nobody reads are dropped.
    let mut log = server.child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut log, &mut text).map(|_| text)
    });
    let mut outputs = String::new();
    for key in [key.as_str(), wrong] {
        let output = cidery()
            .args(["invoke", "cidery.ping", "-vv"])
            .env("CIDERY_API_KEY", key)
            .env("CIDERY_NODE", &server.address)
            .output()
            .unwrap();
        outputs.push_str(&stderr(&output));
        // A panic would show the arguments and the environment of nothing, but the list of processes does.
        let credential = ClientCredential::api_key(key).unwrap();
        let client = ContractClient::connect(&server.address).await.unwrap();
        let client = client.credential(credential.clone());
        outputs.push_str(&format!("{client:?} {credential:?} {credential:#?}"));
        let called = super::ping(&client).await;
        outputs.push_str(&format!("{called:?} {called:#?}"));
        let worker = Worker::builder()
            .service("a.b", async || 1_u32)
            .api_key(key);
        outputs.push_str(&format!("{worker:?}"));
        if let Ok(worker) = worker.connect(&server.address).await {
            worker.stop().await;
        }
    }
    let command = std::fs::read(format!("/proc/{}/cmdline", server.child.id())).unwrap();
    outputs.push_str(&String::from_utf8_lossy(&command));
    drop(server);
    let log = log.join().unwrap().unwrap();
    assert!(log.contains("CREDENTIAL_INVALID"), "the log is there");
    for text in [&log, &outputs] {
        assert!(!text.contains(&secret), "{text}");
        assert!(!text.contains("thewrongsecret"), "{text}");
    }
}

/// The option that people try first would show the key to other users.
#[test]
fn a_key_is_not_taken_as_an_argument_and_not_repeated() {
    for arguments in [
        ["whoami", "--api-key", "cdy_id_secret"].as_slice(),
        &["whoami", "--api-key=cdy_id_secret"],
        &["--api-key=cdy_id_secret", "whoami"],
    ] {
        let output = cidery()
            .args(arguments)
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains("--api-key-file"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
}

/// The help shows the values of environment variables of options: the key is none.
#[test]
fn the_help_does_not_show_the_key() {
    let output = cidery()
        .args(["whoami", "--help"])
        .env("CIDERY_API_KEY", "cdy_id_secret")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("CIDERY_API_KEY") && !text.contains("secret"),
        "{text}"
    );
}
