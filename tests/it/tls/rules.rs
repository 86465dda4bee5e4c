//! Rules of the configuration: what a client certificate with a name may do, and that it may do nothing else.

use std::time::Duration;

use cidery::model::call::Call;
use cidery::remote::client::ContractClient;
use cidery::{ClientTls, Error, dict};

use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::certificates::{Ca, write};
use crate::support::{Folder, until};

/// A node whose configuration has rules.
struct Ruled {
    server: Server,
    ca: Ca,
    folder: Folder,
}

impl Ruled {
    fn start(rules: &str) -> Self {
        let (folder, ca) = (Folder::new("rules"), Ca::new());
        let (certificate, key) = ca.node().write(&folder, "node");
        let audit = folder.path().join("audit.jsonl");
        let cas = write(&folder, "cas.pem", &ca.pem);
        let file = format!(
            "tls_cert = {certificate:?}\ntls_key = {key:?}\ntls_client_ca = {cas:?}\n\
             tls_client_auth = \"optional\"\naudit_log = {audit:?}\n{rules}"
        );
        let file = write(&folder, "cidery.toml", &file);
        Self {
            server: Server::start(&["--config", file.to_str().unwrap()]),
            ca,
            folder,
        }
    }

    async fn client(&self, tls: ClientTls) -> ContractClient {
        let client = ContractClient::connect_with_tls(&self.server.address, tls).await;
        client.unwrap().max_attempts(1)
    }

    /// The lines of the audit log with a text, once there are some.
    async fn audited(&self, text: &str) -> Vec<serde_json::Value> {
        let path = self.folder.path().join("audit.jsonl");
        let read = || {
            let log = std::fs::read_to_string(&path).unwrap();
            let lines = log.lines().filter(|line| line.contains(text));
            let lines = lines.map(|line| serde_json::from_str(line).unwrap());
            lines.collect::<Vec<serde_json::Value>>()
        };
        until("the audit log is written", || !read().is_empty()).await;
        read()
    }

    /// A client with a certificate for this SPIFFE id.
    async fn named(&self, uri: &str) -> ContractClient {
        self.client(self.ca.client(uri).client_of(&self.ca)).await
    }
}

fn reason<T>(result: Result<T, Error>) -> String {
    result
        .map_err(|error| error.reason().to_owned())
        .err()
        .unwrap_or_default()
}

#[tokio::test]
async fn a_certificate_may_do_what_its_rule_says_and_nothing_else() {
    let ruled = Ruled::start(
        r#"role = ["clerk invoke=customer.* read=none control=none"]
certificate_rule = [
  "spiffe://example.org/billing roles=clerk group=sales",
  "spiffe://example.org/ops/* principal=ops admin invoke=demo.* read=all",
]
"#,
    );
    let get = || Call::new("customer.get", dict! { "cust_id": 1 });
    let count = || Call::new("demo.count", dict! { "to": 1 });
    let billing = ruled.named("spiffe://example.org/billing").await;
    let caller = billing.caller().await.unwrap();
    assert_eq!(caller.principal, "spiffe://example.org/billing");
    assert_eq!(caller.group, "sales");
    billing.invoke(get()).await.unwrap();
    let accepted = billing.invoke_async(get()).await.unwrap();
    assert_eq!(reason(billing.invoke(count()).await), "NOT_PERMITTED");
    assert_eq!(reason(billing.invoke_async(count()).await), "NOT_PERMITTED");
    assert_eq!(reason(billing.status().await), "NOT_PERMITTED");
    // Its role takes away what others may do by default.
    let own = billing.invocation(accepted.cid, Duration::ZERO).await;
    assert_eq!(reason(own), "NOT_PERMITTED");

    let ops = ruled.named("spiffe://example.org/ops/a").await;
    assert_eq!(ops.caller().await.unwrap().principal, "ops");
    ops.status().await.unwrap();
    ops.invoke(count()).await.unwrap();
    assert_eq!(reason(ops.invoke(get()).await), "NOT_PERMITTED");

    for (stranger, says) in [
        (
            ruled.named("spiffe://example.org/other").await,
            "`certificate_rule`",
        ),
        (
            ruled.named("spiffe://example.org/ops/a/b").await,
            "`certificate_rule`",
        ),
        (ruled.client(ruled.ca.trusted()).await, "API key"),
    ] {
        let error = stranger.invoke(get()).await.err().unwrap();
        assert_eq!(error.reason(), "CREDENTIAL_REQUIRED");
        assert!(error.message().contains(says), "{error:?}");
    }
    // A connection is written once, with its address; and what it was refused.
    let connected = ruled.audited("connected").await;
    let billing = "spiffe://example.org/billing";
    let mut of_billing = connected.iter().filter(|it| it["principal"] == billing);
    let line = of_billing.next().unwrap();
    assert_eq!(line["credential"], "certificate");
    assert!(of_billing.next().is_none(), "{connected:?}");
    let refused = ruled.audited("invoke demo.count").await;
    assert!(!refused.is_empty() && refused.iter().all(|it| it["peer"] == line["peer"]));
}

#[test]
fn what_is_wrong_with_rules_is_said_at_once_with_its_place() {
    let folder = Folder::new("wrong-rules");
    let check = |file: &str| {
        let file = write(&folder, "cidery.toml", file);
        let mut command = cidery();
        command.args(["config", "check", "-o", "jsonl"]).arg(&file);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
        let lines = stdout(&output);
        let lines = lines.lines().map(|line| {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = |key: &str| object[key].as_str().unwrap().to_owned();
            format!("{} {}", text("key"), text("message"))
        });
        lines.collect::<Vec<_>>()
    };
    let found = check(
        "role = [\"clerk\", \"root fly=high\"]\n\
         certificate_rule = [\"a.example\", \"https://a read=some\", \"b.example group=/\"]\n",
    );
    let expected = [
        ("role.1 ", "`fly=high`"),
        ("certificate_rule.1 ", "`some`"),
        ("certificate_rule.2 ", "`group=/`"),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (key, says) in expected {
        let line = found.iter().find(|line| line.starts_with(key));
        assert!(line.unwrap().contains(says), "{found:#?}");
    }
    // What each of them needs.
    let found = check(
        "role = [\"clerk\", \"clerk admin\"]\n\
         certificate_rule = [\"a.example roles=clerk,nobody\", \"a.example\"]\n\
         tls_cert = \"a.pem\"\n",
    );
    for line in [
        "tls_cert needs `tls_key`",
        "certificate_rule needs `tls_client_ca`",
        "role.1 the role `clerk` is given twice",
        "certificate_rule.0 there is no role `nobody`",
        "certificate_rule.1 `a.example` has a rule before this one, which holds",
    ] {
        assert!(
            found.iter().any(|found| found == line),
            "{line}: {found:#?}"
        );
    }
    assert_eq!(found.len(), 5, "{found:#?}");
}

#[test]
fn rules_are_shown_and_set_as_other_options() {
    let mut command = cidery();
    command.args(["config", "show", "--set", "-o", "jsonl"]);
    command.args(["--certificate-rule", "a.example roles=x,y", "--role", "x"]);
    command.args(["--role", "y", "--tls-cert", "a", "--tls-key", "b"]);
    let shown = command.args(["--tls-client-ca", "c"]).output().unwrap();
    let rule = stdout(&shown);
    let rule = rule.lines().find(|line| line.contains("certificate_rule"));
    assert!(rule.unwrap().contains("[\"a.example roles=x,y\"]"));
}
