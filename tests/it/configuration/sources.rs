//! Where options come from, and what is wrong with them.

use serde_json::Value;

use super::{Site, objects, run_in};
use crate::support::Folder;
use crate::support::binary::{stderr, stdout};
use crate::support::schema::validate;

const SHOW: [&str; 5] = ["config", "show", "--set", "-o", "jsonl"];

/// Lines of `key value from`, of the options that are set.
fn set(output: &std::process::Output) -> Vec<String> {
    let line = |option: &Value| {
        let from = option["from"].as_str().unwrap();
        format!(
            "{} {} {from}",
            option["key"].as_str().unwrap(),
            option["value"]
        )
    };
    objects(output).iter().map(line).collect()
}

#[test]
fn flags_beat_the_environment_and_that_beats_the_file() {
    let site = Site::new(
        "# A node.\nlisten = \":1\"\ndrain = \"1m\"\nallow_host = [\"a\", \"b\"]\n[limits]\nitems = 5\nbatch = 7\n",
    );
    let environment = [
        ("CIDERY_LISTEN", ":2"),
        ("CIDERY_DRAIN", "2m"),
        ("CIDERY_LIMITS__ITEMS", "6"),
        ("CIDERY_HOLD", ""),
    ];
    let flags = ["--listen", ":3", "--limit", "pending=2000000", "--demo"];
    let output = site.run(&[&SHOW[..], &flags].concat(), &environment);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(
        set(&output),
        [
            "listen \":3\" --listen",
            "allow_host [\"a\",\"b\"] cidery.toml:4",
            "demo true --demo",
            "drain \"2m\" CIDERY_DRAIN",
            "limits.pending 2000000 --limit",
            "limits.items 6 CIDERY_LIMITS__ITEMS",
            "limits.batch 7 cidery.toml:7",
        ]
    );
    let definition = include_str!("../../../docs/cli.schema.json");
    let definition = serde_json::from_str(definition).unwrap();
    for option in objects(&output) {
        validate(&definition, "config_option", &option).unwrap();
    }
    // A switch of the file is turned off.
    site.write("demo = true\n");
    let off = site.run(&[&SHOW[..], &["--demo=false"]].concat(), &[]);
    assert_eq!(set(&off), ["demo false --demo"]);
}

#[test]
fn a_file_is_named_or_found_where_the_node_is_started() {
    let site = Site::new("drain = \"1s\"\n");
    let elsewhere = Folder::new("elsewhere");
    let path = site.path();
    let path = path.to_str().unwrap();
    let from = |output: &std::process::Output| set(output).join("");
    assert_eq!(from(&site.run(&SHOW, &[])), "drain \"1s\" cidery.toml:1");
    assert_eq!(from(&run_in(elsewhere.path(), &SHOW, &[])), "");
    let expected = format!("drain \"1s\" {path}:1");
    let by_flag = run_in(
        elsewhere.path(),
        &[&SHOW[..], &["--config", path]].concat(),
        &[],
    );
    assert_eq!(from(&by_flag), expected);
    let by_variable = run_in(elsewhere.path(), &SHOW, &[("CIDERY_CONFIG", path)]);
    assert_eq!(from(&by_variable), expected);
    let checked = run_in(
        elsewhere.path(),
        &["config", "check", "--config", path],
        &[],
    );
    assert!(stderr(&checked).contains("1 option of"), "{checked:?}");
    let missing = run_in(elsewhere.path(), &["config", "check", "nowhere.toml"], &[]);
    assert_eq!(missing.status.code(), Some(78));
    assert!(stdout(&missing).contains("nowhere.toml"), "{missing:?}");
}

const WRONG: &str = "listen = \"127.0.0.1:0\"
drain = \"5\"
in_memory = \"yes\"
store_limit = \"5MiB\"
log_format = \"xml\"
log = \"a=b=c\"
allow_host = [\"http://a\"]
[limits]
pendign = 3
depth = 500
timeout = 30
ping_interval = \"1ms\"
concurrency = -1
items = 99999999999999999999
";

/// Where each problem is, its option, and what is said of it.
const PROBLEMS: [(&str, &str, &str); 15] = [
    ("cidery.toml:2", "drain", "such as `500ms`"),
    (
        "cidery.toml:3",
        "in_memory",
        "must be `true` or `false`, not a text",
    ),
    ("cidery.toml:4", "store_limit", "must be at least 16MiB"),
    ("cidery.toml:5", "log_format", "one of `human`, `json`"),
    ("cidery.toml:6", "log", "error"),
    ("cidery.toml:7", "allow_host.0", "`http://a`"),
    (
        "cidery.toml:9",
        "limits.pendign",
        "did you mean `limits.pending`?",
    ),
    ("cidery.toml:10", "limits.depth", "must be from 1 to 64"),
    (
        "cidery.toml:11",
        "limits.timeout",
        "such as \"30s\", not a number",
    ),
    (
        "cidery.toml:12",
        "limits.ping_interval",
        "must be at least 100ms",
    ),
    (
        "cidery.toml:13",
        "limits.concurrency",
        "must be a whole number, not -1",
    ),
    ("cidery.toml:14", "limits.items", "must be a whole number"),
    ("CIDERY_KEEP_FREE", "keep_free", "use a number of bytes"),
    (
        "CIDERY_LIMITS__BATCHES",
        "",
        "did you mean `CIDERY_LIMITS__BATCH`?",
    ),
    ("CIDERY_LISTN", "", "did you mean `CIDERY_LISTEN`?"),
];

#[test]
fn all_problems_are_found_with_their_places() {
    let site = Site::new(WRONG);
    let environment = [
        ("CIDERY_LISTN", ":1"),
        ("CIDERY_LIMITS__BATCHES", "1"),
        ("CIDERY_KEEP_FREE", "a lot"),
    ];
    let check = site.run(&["config", "check", "-o", "jsonl"], &environment);
    assert_eq!(check.status.code(), Some(78));
    let problems = objects(&check);
    let definition = include_str!("../../../docs/cli.schema.json");
    let definition = serde_json::from_str(definition).unwrap();
    for problem in &problems {
        validate(&definition, "config_problem", problem).unwrap();
    }
    for (from, key, message) in PROBLEMS {
        let found = problems.iter().find(|problem| problem["from"] == from);
        let found = found.unwrap_or_else(|| panic!("{from} is not in {problems:#?}"));
        assert_eq!(found["key"].as_str().unwrap_or_default(), key);
        let text = found["message"].as_str().unwrap();
        assert!(text.contains(message), "{from}: {text}");
    }
    assert_eq!(problems.len(), PROBLEMS.len(), "{problems:#?}");
    // The node refuses the same, all of it at once.
    let serve = site.run(&["serve", "--drain", "6"], &environment);
    assert_eq!(
        (serve.status.code(), stdout(&serve)),
        (Some(78), String::new())
    );
    let text = stderr(&serve);
    for (from, key, message) in PROBLEMS {
        let line = text
            .lines()
            .find(|line| line.contains(&format!("- {from}: ")));
        let line = line.unwrap_or_else(|| panic!("{from} is not in {text}"));
        assert!(line.contains(message), "{line}");
        assert!(line.contains(key) || from.starts_with("CIDERY"), "{line}");
    }
    assert!(
        text.contains("--drain: use a number and a unit") && text.contains("CONFIG_INVALID"),
        "{text}"
    );
}

#[test]
fn wrong_flags_alone_are_a_wrong_use_of_the_command() {
    let site = Site::new("");
    for flags in [
        &["--drain", "5"][..],
        &["--limit", "pending"],
        &["--limit", "pendign=1"],
        &["--limit", "batch=1", "--limit", "batch=2"],
        &["--demo=perhaps"],
    ] {
        let output = site.run(&[&["serve"], flags].concat(), &[]);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{flags:?}: {}",
            stderr(&output)
        );
        assert!(
            stderr(&output).contains("USAGE_INVALID"),
            "{}",
            stderr(&output)
        );
    }
}

/// What a node would refuse when it starts is found by the check as well.
#[test]
fn options_that_do_not_fit_together_are_found() {
    let site = Site::new(
        "tls_cert = \"a\"\ntls_key = \"b\"\ntls_client_ca = \"c\"\ncertificate_rule = [\"a.example\"]\n\
         allow_origin = [\"https://a.example\", \"*\"]\n\
         jwt_jwks = \"http://a.example/keys\"\njwt_issuer = \"a\"\njwt_audience = \"b\"\n",
    );
    let check = site.run(&["config", "check", "-o", "jsonl"], &[]);
    let found = objects(&check);
    let found = found
        .iter()
        .map(|it| (it["key"].as_str().unwrap(), it["line"].as_u64().unwrap()));
    let mut found: Vec<_> = found.collect();
    found.sort_unstable();
    assert_eq!(found, [("allow_origin.1", 5), ("jwt_jwks", 6)]);
    let serve = site.run(&["serve"], &[]);
    assert_eq!(serve.status.code(), Some(78), "{}", stderr(&serve));
}

/// Rules and roles have commas: in the environment, line feeds separate them.
#[test]
fn lists_of_the_environment_have_several_items() {
    let site = Site::new("");
    let environment = [
        ("CIDERY_ROLE", "clerk invoke=a.*,b.*\n\n  operator admin\n"),
        ("CIDERY_ALLOW_HOST", "a.example, b.example"),
    ];
    let shown = site.run(&["config", "show", "--set", "-o", "jsonl"], &environment);
    let shown = objects(&shown);
    let values: Vec<_> = shown.iter().map(|it| it["value"].to_string()).collect();
    let expected = [
        r#"["a.example","b.example"]"#,
        r#"["clerk invoke=a.*,b.*","operator admin"]"#,
    ];
    assert_eq!(values, expected, "{shown:#?}");
}

#[test]
fn a_broken_file_is_refused_line_by_line() {
    let site = Site::new("listen = \ndemo = true\ndrain == \"1s\"\n");
    let output = site.run(&["config", "check"], &[]);
    let text = stdout(&output);
    assert!(
        text.contains("cidery.toml:1") && text.contains("cidery.toml:3"),
        "{text}"
    );
    site.write("listen = [\n");
    let output = site.run(&["config", "check"], &[]);
    assert!(
        stderr(&output).contains("has 1 problem "),
        "{}",
        stdout(&output)
    );
    std::fs::write(site.path(), [b'a', b' ', 0xff]).unwrap();
    assert!(stdout(&site.run(&["config", "check"], &[])).contains("is not UTF-8"));
    site.write(&"#".repeat(2 << 20));
    assert!(stdout(&site.run(&["config", "check"], &[])).contains("is larger than 1 MiB"));
}

/// Variables of clients and of Kubernetes stand beside a node, and what they hold may be a secret.
#[test]
fn variables_of_others_are_no_options() {
    let site = Site::new("");
    let environment = [
        ("CIDERY_NODE", "10.0.0.1:24337"),
        ("CIDERY_API_KEY", "swordfish"),
        ("CIDERY_PORT", "tcp://10.0.0.1:24337"),
        ("CIDERY_PORT_24337_TCP_ADDR", "10.0.0.1"),
        ("CIDERY_SERVICE_HOST", "10.0.0.1"),
        ("CIDERY_SERVICE_PORT_GRPC", "24337"),
        ("CIDERY_GREETING", "swordfish"),
    ];
    let output = site.run(&["config", "check"], &environment);
    assert!(output.status.success(), "{}", stderr(&output));
    let notes = stderr(&output);
    assert!(
        notes.contains("CIDERY_GREETING") && !notes.contains("swordfish"),
        "{notes}"
    );
    assert_eq!(notes.matches("CIDERY_").count(), 1, "{notes}");
    let shown = site.run(&["config", "show"], &environment);
    assert!(!stdout(&shown).contains("swordfish") && !stderr(&shown).contains("swordfish"));
}

#[test]
fn memory_and_a_directory_exclude_each_other_where_they_are_as_strong() {
    let site = Site::new("in_memory = true\ndata_dir = \"data\"\n");
    let output = site.run(&["config", "check"], &[]);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        stdout(&output).contains("excludes `data_dir` (cidery.toml:2)"),
        "{output:?}"
    );
    site.write("data_dir = \"data\"\n");
    let output = site.run(&[&SHOW[..], &["--in-memory"]].concat(), &[]);
    assert_eq!(set(&output), ["in_memory true --in-memory"]);
    site.write("in_memory = true\n");
    let output = site.run(&SHOW, &[("CIDERY_DATA_DIR", "data")]);
    assert_eq!(set(&output), ["data_dir \"data\" CIDERY_DATA_DIR"]);
}

/// Each is found before a node meets it: another user may run the node, so that they are warnings.
#[test]
fn files_that_cannot_be_read_are_found_by_a_check() {
    let site = Site::new(
        "tls_cert = \"nowhere.pem\"\ntls_key = \"nowhere.key\"\naudit_log = \"none/audit.jsonl\"\n",
    );
    let check = |options: &[&str]| site.run(&[&["config", "check"], options].concat(), &[]);
    let warned = check(&[]);
    assert_eq!(warned.status.code(), Some(0), "{}", stderr(&warned));
    for key in ["tls_cert", "tls_key", "audit_log"] {
        assert!(
            stderr(&warned).contains(&format!(": {key}: ")),
            "{}",
            stderr(&warned)
        );
    }
    let strict = check(&["--strict", "-o", "jsonl"]);
    assert_eq!(strict.status.code(), Some(78), "{}", stderr(&strict));
    let keys: Vec<_> = objects(&strict)
        .iter()
        .map(|it| it["key"].clone())
        .collect();
    assert_eq!(keys, ["tls_cert", "tls_key", "audit_log"]);
}

/// What a file names is not an option of the command.
#[test]
fn an_audit_log_that_the_file_names_is_a_problem_of_the_file() {
    let site = Site::new("in_memory = true\nlisten = \":0\"\naudit_log = \"none/audit.jsonl\"\n");
    let output = site.run(&["serve"], &[]);
    assert_eq!(output.status.code(), Some(78), "{}", stderr(&output));
    let text = stderr(&output);
    assert!(text.contains("cidery.toml:3: audit_log: "), "{text}");
}
