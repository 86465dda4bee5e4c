//! `cidery store check` and `stats`: each planted fault is found, and stores without faults have none.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cidery::model::batch::Batch;
use cidery::model::call::{Call, Start};
use cidery::remote::client::ContractClient;
use cidery::{Cid, dict};
use rusqlite::Connection;
use serde_json::Value;
use tokio::task::JoinSet;

use super::{assert_valid, node};
use crate::support::binary::{Server, cidery, stderr, stdout};
use crate::support::{Folder, ended, until};

/// A store, and its invocations by what they are.
struct Filled {
    folder: Folder,
    cids: Vec<(&'static str, Cid)>,
}

impl Filled {
    fn cid(&self, name: &str) -> Cid {
        let mut cids = self.cids.iter();
        cids.find(|(of, _)| *of == name).unwrap().1
    }

    /// A statement with `{name}` for the id of an invocation, and `{hex name}` for its CID.
    fn sql(&self, template: &str) -> String {
        let mut sql = template.to_owned();
        for (name, cid) in &self.cids {
            let hex = format!("x'{}'", cid.to_string().replace('-', ""));
            let id = format!("(SELECT id FROM invocation WHERE cid = {hex})");
            sql = sql.replace(&format!("{{{name}}}"), &id);
            sql = sql.replace(&format!("{{hex {name}}}"), &hex);
        }
        sql
    }
}

/// A store that a node wrote, and closed.
async fn filled() -> Filled {
    let folder = Folder::new("check");
    let node = node(&folder).await;
    let client = &node.client;
    let later = |service: &'static str| {
        let mut call = Call::new(service, dict! { "cust_id": 1 });
        call.durable().start = Some(Start::After(Duration::from_secs(3_600)));
        call
    };
    let accept = async |call: Call| client.invoke_async(call).await.unwrap().cid;
    let mut idempotent = later("customer.get");
    idempotent.durable().idempotency_key = Some("order 1".to_owned());
    let with_key = accept(idempotent).await;
    accept({
        let mut other = later("customer.get");
        other.durable().idempotency_key = Some("order 2".to_owned());
        other
    })
    .await;
    let mut keyed = Vec::new();
    for _ in 0..3 {
        let mut call = later("customer.get");
        call.durable().concurrency_key = Some("customer 1".to_owned());
        keyed.push(accept(call).await);
    }
    let succeeded = accept(Call::new("customer.get", dict! { "cust_id": 1 })).await;
    let failed = accept(Call::new("demo.fail", dict! { "code": "NOT_FOUND" })).await;
    for cid in [succeeded, failed] {
        ended(client, cid).await;
    }
    let retried = client.retry(failed, false).await.unwrap();
    let retry = Cid::parse(&retried[0].new_cid).unwrap();
    let removed = accept(Call::new("customer.get", dict! { "cust_id": 1 })).await;
    for cid in [retry, removed] {
        ended(client, cid).await;
    }
    client.purge(removed, false).await.unwrap();
    let now = Call::new("customer.get", dict! { "cust_id": 1 });
    let batch = Batch::of([now, later("customer.get"), later("customer.get")]).unwrap();
    let group = client.invoke_batch(batch).await.unwrap();
    ended(client, group.members[0]).await;
    let later = accept(later("customer.get")).await;
    node.handle.stop().await;
    let cids = vec![
        ("succeeded", succeeded),
        ("failed", failed),
        ("retry", retry),
        ("later", later),
        ("first", keyed[0]),
        ("last", keyed[2]),
        ("group", group.cid),
        ("member", group.members[1]),
        ("with key", with_key),
    ];
    Filled { folder, cids }
}

/// The faults that a check names, with their CIDs.
fn faults(path: &Path, options: &[&str]) -> Vec<(String, Option<String>)> {
    let path = path.to_str().unwrap();
    let output = cidery()
        .args(["store", "check", path, "-o", "jsonl"])
        .args(options)
        .output()
        .unwrap();
    let text = stdout(&output);
    let faults: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let code = output.status.code();
    assert_eq!(
        code,
        Some(i32::from(!faults.is_empty())),
        "{text}{}",
        stderr(&output)
    );
    for fault in &faults {
        assert_valid("store_fault", fault);
    }
    let field = |fault: &Value, name: &str| fault[name].as_str().map(str::to_owned);
    let named = faults
        .iter()
        .map(|fault| (field(fault, "fault").unwrap(), field(fault, "cid")));
    named.collect()
}

/// Faults: the name, how it is planted, and the invocation that it is found at.
const PLANTS: [(&str, &str, Option<&str>); 30] = [
    (
        "STATE_WITHOUT_INVOCATION",
        "DELETE FROM invocation WHERE id = {later}",
        None,
    ),
    (
        "STATE_MISSING",
        "DELETE FROM pending WHERE id = {later}",
        Some("later"),
    ),
    (
        "PENDING_AND_ENDED",
        "INSERT INTO pending (id, service, due, wake, generation)
         SELECT id, service, accept_time, accept_time, 1 FROM invocation WHERE id = {succeeded}",
        Some("succeeded"),
    ),
    (
        "OUTCOME_WRONG",
        "UPDATE outcome SET state = 2 WHERE id = {failed}",
        Some("failed"),
    ),
    (
        "CID_TWICE",
        "UPDATE invocation SET cid = {hex succeeded} WHERE id = {later}",
        Some("succeeded"),
    ),
    (
        "CID_NOT_INDEXED",
        "DELETE FROM cid_index WHERE id = {later}",
        Some("later"),
    ),
    (
        "SERVICE_NOT_INDEXED",
        "DELETE FROM service_index WHERE id = {later}",
        Some("later"),
    ),
    (
        "PURGE_NOT_QUEUED",
        "DELETE FROM purge_queue WHERE id = {succeeded}",
        Some("succeeded"),
    ),
    (
        "INDEX_STALE",
        "UPDATE cid_index SET id = id + 1000 WHERE id = {later}",
        Some("later"),
    ),
    (
        "SERVICE_WRONG",
        "UPDATE pending SET service = service + 1 WHERE id = {later}",
        Some("later"),
    ),
    (
        "MEMBERS_MISCOUNTED",
        "UPDATE pending SET open_members = 1 WHERE id = {group}",
        Some("group"),
    ),
    (
        "MEMBER_HELD_WRONG",
        "UPDATE pending SET held = 0 WHERE id = {member}",
        Some("member"),
    ),
    (
        "HEAD_WRONG",
        "UPDATE pending SET leads = 0 WHERE id = {first}",
        Some("first"),
    ),
    (
        "HEAD_WRONG",
        "UPDATE pending SET leads = 1 WHERE id = {last}",
        Some("last"),
    ),
    (
        "WAKE_LATE",
        "UPDATE pending SET wake = due + 1 WHERE id = {later}",
        Some("later"),
    ),
    (
        "KEY_TWICE",
        "UPDATE invocation SET idempotency_key = 'order 1' WHERE idempotency_key = 'order 2'",
        None,
    ),
    (
        "TOMBSTONE_OF_STORED",
        "UPDATE tombstone SET cid = {hex succeeded}",
        Some("succeeded"),
    ),
    (
        "UNREADABLE",
        "UPDATE invocation SET request = x'ffff' WHERE id = {with key}",
        Some("with key"),
    ),
    (
        "UNREADABLE",
        "UPDATE outcome SET events = x'05ff' WHERE id = {succeeded}",
        Some("succeeded"),
    ),
    (
        "UNREADABLE",
        "INSERT INTO service_control VALUES ('no name!', 0, '', '', 0, NULL, '', '')",
        None,
    ),
    (
        "UNREADABLE",
        "INSERT INTO operation VALUES (zeroblob(16), 99, 0, NULL, x'ff', 0, x'ff')",
        None,
    ),
    (
        "RETRY_WRONG",
        "INSERT INTO retry VALUES (99999, {hex retry})",
        None,
    ),
    (
        "RETRY_WRONG",
        "INSERT INTO retry VALUES ({later}, zeroblob(16))",
        Some("later"),
    ),
    (
        "RETRY_WRONG",
        "UPDATE retry SET retried_as = x'00' WHERE id = {failed}",
        Some("failed"),
    ),
    (
        "RETRY_WRONG",
        "UPDATE retry SET retried_as = {hex failed} WHERE id = {failed}",
        Some("failed"),
    ),
    (
        "RETRY_WRONG",
        "UPDATE retry SET retried_as = {hex later} WHERE id = {failed}",
        Some("failed"),
    ),
    (
        "TIME_IMPLAUSIBLE",
        "UPDATE invocation SET accept_time = 9000000000000000000 WHERE id = {later}",
        Some("later"),
    ),
    (
        "SEQUENCE_BEYOND",
        "UPDATE invocation SET sequence = 99 << 32 WHERE id = {later}",
        Some("later"),
    ),
    ("META_INVALID", "DELETE FROM meta WHERE key = 'clean'", None),
    (
        "DAMAGED",
        "PRAGMA writable_schema = 1;
         UPDATE sqlite_schema SET rootpage = 1 WHERE name = 'claimable'",
        None,
    ),
];

#[tokio::test]
async fn each_planted_fault_is_found() {
    let store = filled().await;
    let copy = Folder::new("check");
    let path = copy.path().join("cidery.db");
    let original = store.folder.path().join("cidery.db");
    assert_eq!(faults(&original, &[]), []);
    let mut missed = Vec::new();
    for (fault, template, name) in PLANTS {
        let (sql, cid) = (store.sql(template), name.map(|name| store.cid(name)));
        std::fs::copy(&original, &path).unwrap();
        let database = Connection::open(&path).unwrap();
        database.execute_batch(&sql).expect(&sql);
        assert!(database.changes() > 0, "{sql}");
        database.close().unwrap();
        let found = faults(&path, &[]);
        let is_it = |(name, found): &(String, Option<String>)| {
            let found = found.as_deref();
            name == fault && cid.is_none_or(|cid| found == Some(cid.to_string().as_str()))
        };
        if !found.iter().any(is_it) {
            missed.push(format!("{fault} of {cid:?}: {found:?}"));
        }
    }
    assert_eq!(missed, [] as [&str; 0]);
}

#[tokio::test]
async fn a_check_names_at_most_so_many_faults_and_changes_nothing() {
    let store = filled().await;
    let path = store.folder.path().join("cidery.db");
    let database = Connection::open(&path).unwrap();
    database.execute_batch("DELETE FROM cid_index").unwrap();
    database.close().unwrap();
    let before = std::fs::read(&path).unwrap();
    let all = faults(store.folder.path(), &[]).len();
    assert!(all > 5, "{all}");
    assert_eq!(faults(store.folder.path(), &["--limit", "3"]).len(), 3);
    assert!(std::fs::read(&path).unwrap() == before);
    let entries = std::fs::read_dir(store.folder.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["cidery.db", "lock"]);
    let output = cidery()
        .args(["store", "check"])
        .arg(&path)
        .output()
        .unwrap();
    let (table, notes) = (stdout(&output), stderr(&output));
    assert!(table.contains("CID_NOT_INDEXED"), "{table}");
    for text in ["not found by its CID", "restore a backup", "STORE_DAMAGED"] {
        assert!(notes.contains(text), "{text} is not in {notes}");
    }
}

/// Of earlier formats, the pages alone are checked.
#[test]
fn stores_of_earlier_versions_have_no_faults() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let copy = Folder::new("check");
    for format in 1..=5 {
        let path = copy.path().join("cidery.db");
        std::fs::copy(fixtures.join(format!("store_v{format}/cidery.db")), &path).unwrap();
        if format == 5 {
            // The declaration in it is no message: the store does not decode it.
            assert_eq!(faults(&path, &[]), [("UNREADABLE".to_owned(), None)]);
            let database = Connection::open(&path).unwrap();
            database.execute_batch("DELETE FROM announced").unwrap();
            database.close().unwrap();
        }
        assert_eq!(faults(&path, &[]), [], "format {format}");
        let output = cidery()
            .args(["store", "check"])
            .arg(&path)
            .output()
            .unwrap();
        let notes = stderr(&output);
        assert_eq!(notes.contains("a node upgrades it"), format < 5, "{notes}");
        assert!(notes.contains("no faults"), "{notes}");
        let stats = cidery()
            .args(["store", "stats", "-o", "json"])
            .arg(&path)
            .output()
            .unwrap();
        let stats: Value = serde_json::from_str(&stdout(&stats)).unwrap();
        assert_eq!(stats["format"], format);
    }
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = Folder::new("check");
    let (text, empty, other) = (
        folder.path().join("text"),
        folder.path().join("empty"),
        folder.path().join("other"),
    );
    std::fs::write(&text, "x".repeat(5_000)).unwrap();
    std::fs::write(&empty, "").unwrap();
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE one (id INTEGER)")
        .unwrap();
    let missing = folder.path().join("missing");
    for path in [folder.path(), &text, &empty, &other, &missing] {
        for verb in ["check", "stats"] {
            let output = cidery().args(["store", verb]).arg(path).output().unwrap();
            let error = stderr(&output);
            assert_eq!(output.status.code(), Some(3), "{path:?}: {error}");
            assert!(error.contains("STORE_UNUSABLE"), "{path:?}: {error}");
        }
    }
}

/// Submits invocations of several kinds until the node is gone; counts those that are accepted.
async fn submit(address: String, accepted: Arc<AtomicUsize>) {
    let Ok(client) = ContractClient::connect(&address).await else {
        return;
    };
    for n in 0.. {
        let mut call = Call::new("customer.get", dict! { "cust_id": 1 });
        if n % 3 == 1 {
            call.durable().concurrency_key = Some(format!("key {}", n % 5));
        } else if n % 3 == 2 {
            call.durable().callbacks = vec!["cidery.echo".to_owned()];
            call.durable().idempotency_key = Some(format!("{address} {n} {}", Cid::new()));
        }
        let batch = || Batch::of([("customer.get", dict! { "cust_id": 1 })]);
        let sent = match n % 10 {
            0 => client.invoke_batch(batch().unwrap()).await.map(drop),
            _ => client.invoke_async(call).await.map(drop),
        };
        if sent.is_err() {
            return;
        }
        accepted.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_use_and_one_after_a_crash_have_no_faults() {
    let folder = Folder::new("check");
    let data = folder.path().join("data");
    let server = Server::start(&["--data-dir", data.to_str().unwrap()]);
    let (mut clients, accepted) = (JoinSet::new(), Arc::<AtomicUsize>::default());
    // Many, so that a commit has many of their calls, and a slow disk does not count.
    for _ in 0..16 {
        clients.spawn(submit(server.address.clone(), Arc::clone(&accepted)));
    }
    let count = || accepted.load(Ordering::Relaxed);
    until("invocations are accepted", || count() > 300).await;
    // While it is written.
    assert_eq!(faults(&data, &[]), []);
    let stats = cidery()
        .args(["store", "stats", "-o", "json", "--data-dir"])
        .arg(&data)
        .output()
        .unwrap();
    let stats: Value = serde_json::from_str(&stdout(&stats)).unwrap();
    assert!(stats["wal_bytes"].as_u64().unwrap() > 0, "{stats}");
    // Beyond what the indexes may lack.
    until("more are accepted", || count() > 2_500).await;
    server.signal("KILL");
    clients.join_all().await;
    assert_eq!(faults(&data, &[]), []);
    drop(server);
    let mut server = Server::start(&["--data-dir", data.to_str().unwrap()]);
    let (log, _) = server.terminate();
    assert_eq!(faults(&data, &[]), [], "{log}");
}

#[tokio::test]
async fn stats_show_what_takes_the_room_of_a_store() {
    let store = filled().await;
    let run = |format: &str| {
        let output = cidery()
            .args(["store", "stats", "-o", format])
            .arg(store.folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output)
    };
    let stats: Value = serde_json::from_str(&run("json")).unwrap();
    assert_valid("store_stats", &stats);
    let table = |name: &str| {
        let tables = stats["tables"].as_array().unwrap();
        tables.iter().find(|table| table["name"] == name).unwrap()
    };
    assert_eq!(table("invocation")["rows"], 13);
    assert_eq!(table("tombstone")["rows"], 1);
    assert!(table("invocation")["bytes"].as_u64().unwrap() >= 4_096);
    assert!(table("invocation")["index_bytes"].as_u64().unwrap() >= 4_096);
    assert_eq!(
        (&stats["clean"], &stats["wal_bytes"]),
        (&true.into(), &0.into())
    );
    let pending = stats["pending"].as_array().unwrap();
    assert_eq!(pending[0]["service"], "customer.get");
    assert_eq!(pending[0]["pending"], 8);
    assert_eq!(
        (&pending[1]["service"], &pending[1]["pending"]),
        (&"".into(), &1.into())
    );
    let text = run("table");
    for shown in ["generation", "invocation", "customer.get", "(groups)"] {
        assert!(text.contains(shown), "{shown} is not in {text}");
    }
}
