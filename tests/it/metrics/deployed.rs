//! What `deploy/monitoring` has: the metrics that it names exist, and Prometheus accepts it.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value as Json;

use super::{fetch, scrape};
use crate::support::binary::{Server, stderr, stdout, tool};
use crate::support::{Folder, PATIENCE, TestNode};

const RULES: &str = include_str!("../../../deploy/monitoring/cidery.rules.yml");
const DASHBOARD: &str = include_str!("../../../deploy/monitoring/cidery.dashboard.json");
const PAGE: &str = include_str!("../../../docs/metrics.md");

fn monitoring(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/monitoring");
    folder.join(file).display().to_string()
}

/// The names of metrics in a text.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_metric = |word: &&str| word.starts_with("cidery_") || word.starts_with("process_");
    words.filter(is_metric).collect()
}

/// The names of samples that metrics have, by their `TYPE` lines.
fn samples(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = types.flat_map(|line| {
        let (name, kind) = line.split_once(' ').unwrap();
        let suffixes: &[&str] = match kind {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        suffixes.iter().map(move |suffix| format!("{name}{suffix}"))
    });
    names.collect()
}

#[tokio::test]
async fn all_metrics_of_the_dashboard_and_the_alerts_exist() {
    let node = TestNode::demo().await;
    let known = samples(&scrape(node.address()).await);
    for text in [RULES, DASHBOARD] {
        let named = named(text);
        assert!(named.len() > 5, "{named:?}");
        let unknown: Vec<_> = named
            .iter()
            .filter(|name| !known.contains(**name))
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

/// The queries of a dashboard, wherever they are, with its variables replaced.
fn queries(part: &Json, found: &mut Vec<String>) {
    match part {
        Json::Object(fields) => {
            if let Some(Json::String(query)) = fields.get("expr") {
                let query = query.replace("$__rate_interval", "5m");
                found.push(query.replace("$instance", ".*").replace("$service", ".*"));
            }
            fields.values().for_each(|part| queries(part, found));
        }
        Json::Array(parts) => parts.iter().for_each(|part| queries(part, found)),
        _ => {}
    }
}

/// Each query of the dashboard can be parsed, and groups by labels that its metrics have.
#[test]
fn the_queries_of_the_dashboard_can_be_run() {
    let mut found = Vec::new();
    queries(&serde_json::from_str(DASHBOARD).unwrap(), &mut found);
    assert!(found.len() > 20, "{found:?}");
    for query in &found {
        assert!(!query.contains('$'), "{query}");
        let groups = query.split("by (").skip(1);
        for label in groups.flat_map(|rest| rest.split(')').next().unwrap().split(", ")) {
            let has_label = |name: &&str| {
                let name = name.strip_suffix("_bucket").unwrap_or(name);
                let row = PAGE
                    .lines()
                    .find(|row| row.starts_with(&format!("| `{name}`")));
                row.is_some_and(|row| row.contains(&format!("`{label}`")))
            };
            let is_known = ["le", "instance"].contains(&label);
            assert!(
                is_known || named(query).iter().any(has_label),
                "{label}: {query}"
            );
        }
    }
    let Some(promtool) = tool("CIDERY_PROMTOOL", "the queries of the dashboard") else {
        return;
    };
    let rules = found.iter().enumerate();
    let rules =
        rules.map(|(at, expr)| serde_json::json!({ "record": format!("q{at}"), "expr": expr }));
    let rules: Vec<_> = rules.collect();
    let rules = serde_json::json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    let folder = Folder::new("dashboard");
    let file = folder.path().join("rules.yml");
    // JSON is YAML.
    std::fs::write(&file, rules.to_string()).unwrap();
    let output = Command::new(promtool)
        .args(["check", "rules"])
        .arg(&file)
        .output();
    let output = output.unwrap();
    let said = format!("{}{}", stdout(&output), stderr(&output));
    assert!(output.status.success(), "{said}");
}

#[test]
fn all_alerts_are_documented() {
    let alerts = RULES
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: Vec<_> = alerts.map(|name| format!("| `{name}` |")).collect();
    let rows = PAGE
        .lines()
        .filter(|line| line.starts_with("| `Cidery"))
        .count();
    assert_eq!(alerts.len(), rows);
    for alert in alerts {
        assert!(PAGE.contains(&alert), "{alert}");
    }
}

#[test]
fn the_alerts_fire_as_their_tests_say() {
    let Some(promtool) = tool("CIDERY_PROMTOOL", "the tests of the alerts") else {
        return;
    };
    for arguments in [
        ["check", "rules", "cidery.rules.yml"],
        ["test", "rules", "cidery.rules.test.yml"],
        ["check", "config", "prometheus.yml"],
    ] {
        let [verb, what, file] = arguments;
        let output = Command::new(&promtool)
            .args([verb, what, &monitoring(file)])
            .output();
        let output = output.unwrap();
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(output.status.success(), "{arguments:?}: {said}");
    }
}

/// Prometheus reads a node, finds it up, and complains of nothing.
#[tokio::test]
async fn prometheus_reads_a_node() {
    let Some(prometheus) = tool("CIDERY_PROMETHEUS", "the test with Prometheus") else {
        return;
    };
    let server = Server::start(&[]);
    let folder = Folder::new("prometheus");
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n  - job_name: cidery\n    static_configs:\n      - \
         targets: ['{}']\n",
        server.address
    );
    std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    // It cannot say which port it was given: this one was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let log = folder.path().join("log");
    let mut child = Command::new(prometheus)
        .arg(format!(
            "--config.file={}",
            folder.path().join("prometheus.yml").display()
        ))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.path().join("data").display()
        ))
        .arg(format!("--web.listen-address={address}"))
        .stdout(std::process::Stdio::null())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if tokio::net::TcpStream::connect(address).await.is_ok() {
                let path = "/api/v1/query?query=cidery_node_health";
                let answer = fetch(address, "GET", path, "").await.body;
                if answer.contains(r#""health":"serving""#) {
                    let targets = fetch(address, "GET", "/api/v1/targets", "").await.body;
                    return (answer, targets);
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let found = found.await;
    child.kill().unwrap();
    child.wait().unwrap();
    let (found, targets) = found.expect("Prometheus finds the metrics of the node");
    assert!(found.contains(r#""job":"cidery""#), "{found}");
    let targets: serde_json::Value = serde_json::from_str(&targets).unwrap();
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!(
        (&target["health"], &target["lastError"]),
        (&"up".into(), &"".into()),
        "{targets}"
    );
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("level=info"), "{log}");
    for level in ["level=warn", "level=error"] {
        assert!(!log.contains(level), "{log}");
    }
}
