//! All secrets at once: API keys, tokens, keys of the store and of TLS are in nothing that a node or a client shows.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cidery::remote::client::ContractClient;
use cidery::{
    AccessOptions, Client, ClientCredential, ClientTls, Context, JwtOptions, Node, ServerTls,
    SqliteOptions, StoreKeys, Worker,
};

use super::command_line::data_dir_with_key;
use super::tokens::{claims, jwks, valid};
use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::certificates::{Ca, write};
use crate::support::{Folder, any_port, secret_of};

/// Set in the process of [`a_process_with_secrets`]: the folder with them.
const FOLDER: &str = "CIDERY_TEST_SECRETS";
const TEST: &str = "access::every_secret::a_process_with_secrets";
const WRONG: &str = "cdy_0123456789abcdef_thewrongsecretthewrongsecretthewrong";

/// The files of a node, and its secrets.
struct Secrets {
    folder: Folder,
    certificate: PathBuf,
    key: PathBuf,
    ca: PathBuf,
    jwks: PathBuf,
    store_key: PathBuf,
    /// What callers present: API keys, a wrong one, tokens, a wrong one.
    credentials: Vec<String>,
    texts: Vec<String>,
}

fn path_text(path: &Path) -> &str {
    path.to_str().unwrap()
}

impl Secrets {
    fn new() -> Self {
        let (folder, ca) = (Folder::new("secrets"), Ca::new());
        let pair = ca.node();
        let (certificate, key) = pair.write(&folder, "node");
        let store_key = folder.path().join("store.key");
        let mut made = cidery();
        made.args(["store", "key", "new"]).arg(&store_key);
        assert!(made.output().unwrap().status.success());
        let root = data_dir_with_key(
            &folder,
            &["root", "--admin", "--invoke", "*", "--serve", "*"],
        );
        let clerk = data_dir_with_key(&folder, &["clerk", "--invoke", "a.*"]);
        let token = valid(&claims());
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
        let mut texts: Vec<String> = [&root, &clerk, &WRONG.to_owned()]
            .iter()
            .map(|key| secret_of(key).to_owned())
            .collect();
        texts.extend([signature, forged.rsplit('.').next().unwrap()].map(str::to_owned));
        let pem = pair.key.lines().filter(|line| !line.contains("-----"));
        texts.extend(pem.map(str::to_owned));
        let store = std::fs::read_to_string(&store_key).unwrap();
        texts.push(store.trim().rsplit(':').next().unwrap().to_owned());
        // Short ones would be found by chance.
        texts.retain(|text| text.len() > 15);
        assert!(texts.len() >= 8, "{}", texts.len());
        Self {
            certificate,
            key,
            ca: write(&folder, "ca.pem", &ca.pem),
            jwks: write(&folder, "jwks.json", &jwks("one")),
            store_key,
            credentials: vec![root, clerk, WRONG.to_owned(), token, forged],
            texts,
            folder,
        }
    }

    /// The options of `serve` with all of them.
    fn options(&self) -> Vec<&str> {
        vec![
            "--data-dir",
            path_text(self.folder.path()),
            "--tls-cert",
            path_text(&self.certificate),
            "--tls-key",
            path_text(&self.key),
            "--jwt-jwks",
            path_text(&self.jwks),
            "--jwt-issuer",
            "https://issuer.example",
            "--jwt-audience",
            "cidery",
        ]
    }

    #[track_caller]
    fn assert_hidden(&self, place: &str, text: &str) {
        let found = self.texts.iter().filter(|secret| text.contains(*secret));
        assert_eq!(found.count(), 0, "{place}: {text}");
    }

    #[track_caller]
    fn assert_output_hidden(&self, place: &str, output: &Output) {
        self.assert_hidden(place, &stdout(output));
        self.assert_hidden(place, &stderr(output));
    }

    /// A command of a client with a credential, which logs all it can.
    fn run(&self, server: &Server, credential: &str, arguments: &[&str]) -> Output {
        let mut command = cidery();
        command.args(arguments).env("CIDERY_NODE", &server.address);
        command.env("CIDERY_CA", &self.ca);
        command.env("CIDERY_API_KEY", credential);
        command.output().unwrap()
    }
}

/// What other users of the machine see of a process: its arguments, and those of its children.
fn seen_by_others(pid: u32) -> (String, String) {
    let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children = tasks.flatten().map(|task| {
        let children = task.path().join("children");
        std::fs::read_to_string(children).unwrap_or_default()
    });
    (
        String::from_utf8_lossy(&arguments).into_owned(),
        children.collect(),
    )
}

/// A client and a worker in Rust, with a credential.
async fn connects(secrets: &Secrets, server: &Server, credential: &str) {
    let tls = ClientTls::new().ca_file(&secrets.ca);
    let client = ContractClient::connect_with_tls(&server.address, tls.clone()).await;
    let own = ClientCredential::api_key(credential).unwrap();
    let client = client.unwrap().credential(own);
    let called = super::ping(&client).await;
    let worker = Worker::builder().service("a.b", async || 1_u32).tls(tls);
    let worker = worker.api_key(credential).connect(&server.address).await;
    let connected = match worker {
        Ok(worker) => {
            worker.stop().await;
            Ok(())
        }
        Err(error) => Err(error),
    };
    secrets.assert_hidden("errors", &format!("{called:?} {called:#?} {connected:?}"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_shown_anywhere() {
    let secrets = Secrets::new();
    let audit = secrets.folder.path().join("audit.jsonl");
    let options = [
        &secrets.options()[..],
        &["--audit-log", path_text(&audit), "--log", "trace"],
    ]
    .concat();
    let environment = [("CIDERY_STORE_KEY_FILE", secrets.store_key.as_path())];
    let mut server = Server::start_in(&options, &environment);
    // Lines that nobody reads are dropped.
    let mut log = server.child.stderr.take().unwrap();
    let log = std::thread::spawn(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut log, &mut text).map(|_| text)
    });
    for credential in &secrets.credentials {
        for arguments in [
            &["invoke", "cidery.ping", "-vv"][..],
            &["invoke", "customer.get", "-o", "json"],
            &["invoke", "--async", "a.none", "-vv"],
            &["status", "-vv"],
            &["whoami"],
            &["key", "list"],
            &["services"],
        ] {
            let output = secrets.run(&server, credential, arguments);
            secrets.assert_output_hidden(&arguments.join(" "), &output);
        }
        connects(&secrets, &server, credential).await;
    }
    let (arguments, children) = seen_by_others(server.child.id());
    secrets.assert_hidden("ps", &arguments);
    // Nobody gets the environment of the node.
    assert_eq!(children, "", "the node has no child processes");
    for command in [&["config", "show"][..], &["config", "show", "-o", "json"]] {
        let shown = cidery()
            .args([command, &options].concat())
            .envs(environment)
            .env("CIDERY_API_KEY", &secrets.credentials[0])
            .output()
            .unwrap();
        assert!(shown.status.success(), "{}", stderr(&shown));
        secrets.assert_output_hidden("config show", &shown);
    }
    server.signal("TERM");
    assert!(server.child.wait().unwrap().success());
    let log = log.join().unwrap().unwrap();
    assert!(log.contains("CREDENTIAL_INVALID"), "the log is there");
    secrets.assert_hidden("the log", &log);
    let audit = std::fs::read_to_string(audit).unwrap();
    assert!(audit.contains("clerk"), "{audit}");
    secrets.assert_hidden("the audit log", &audit);
    secrets.assert_output_hidden("a panic", &panicked(&secrets));
}

/// What a process prints that has all secrets, and panics with all that it can show of them.
fn panicked(secrets: &Secrets) -> Output {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([TEST, "--exact", "--nocapture"])
        .env(FOLDER, secrets.folder.path())
        .env("CIDERY_API_KEY", &secrets.credentials[0])
        .env("RUST_BACKTRACE", "full")
        .output()
        .unwrap();
    let text = stderr(&output);
    for part in ["the handler has", "the program has", "stack backtrace"] {
        assert!(text.contains(part), "`{part}`: {text}");
    }
    output
}

/// The process of the test above; nothing otherwise.
#[tokio::test]
async fn a_process_with_secrets() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let key = std::env::var("CIDERY_API_KEY").unwrap();
    let tls = ServerTls::pem(
        std::fs::read(folder.join("node.pem")).unwrap(),
        std::fs::read(folder.join("node-key.pem")).unwrap(),
    );
    let of_store = SqliteOptions {
        keys: Some(StoreKeys::read(folder.join("store.key")).unwrap()),
        ..SqliteOptions::default()
    };
    let mut access = AccessOptions::default();
    let set = folder.join("jwks.json");
    access.jwt = Some(JwtOptions::new(set.to_str().unwrap(), "issuer", "cidery"));
    let (store, _) = super::store_with([super::admin("root")], &cidery::Clock::System).await;
    let panics = async |ctx: Context| -> cidery::Result<()> { panic!("the handler has {ctx:?}") };
    let builder = Node::builder().service("a.panics", panics).store(store);
    let builder = builder.tls(tls.clone()).access(access.clone());
    let shown = format!("{builder:?}");
    let node = builder.listen(any_port()).start().await.unwrap();
    let panicked = node.invoke("a.panics", ()).await.unwrap_err();
    let client = ClientTls::new().ca_file(folder.join("ca.pem"));
    let url = format!("https://{}", node.address().unwrap());
    let client = Client::connect_with_tls(&url, client).await.unwrap();
    let client = client.api_key(&key).unwrap();
    let refused = client.invoke("a.panics", ()).await.unwrap_err();
    let worker = Worker::builder().api_key(&key);
    let (hash, credential) = (&key[..8], ClientCredential::api_key(&key).unwrap());
    panic!(
        "the program has {hash} {shown} {tls:?} {of_store:?} {access:?} {node:?} {panicked:?} {client:?} {refused:?} \
         {worker:?} {credential:#?}"
    );
}
