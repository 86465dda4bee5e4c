//! Fuzz targets of the configuration: files, environment variables, roles and rates.

use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Origin, Raw};
use super::environment::Environment;
use super::limit_text::{rate, service_limit};
use super::options::{Kind, Options, value_text};
use super::problem::Problem;
use super::resolve::{Resolved, resolve};
use super::role::role;
use super::secret::Secret;
use super::settings::Config;
use super::{file, problem};
use crate::codec::convert::{rights_from_proto, rights_to_proto};
use crate::fuzz_engine::fuzz;

/// What no error may repeat.
const SECRET: &str = "swordfish";

/// A table with a secret, as an option of a node may be one.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default)]
struct Guarded {
    token: Option<Secret>,
    /// Any text.
    name: String,
}

/// The entries and problems of a file with this text; `None` where it is not read as text at all.
fn parsed(input: &[u8]) -> Option<(&str, Vec<Entry>, Vec<Problem>)> {
    let text = std::str::from_utf8(input).ok()?;
    // The address of a host would be looked up.
    let is_quick = !text.contains("listen") && !text.contains("allow_host");
    let (entries, problems) = file::parse(&Arc::new(PathBuf::from("cidery.toml")), text);
    is_quick.then_some((text, entries, problems))
}

/// Each problem names its place, and together they are an error of bounded size.
fn assert_placed(text: &str, problems: &[Problem]) {
    let lines = text.lines().count() + 1;
    for problem in problems {
        assert!(!problem.message.is_empty(), "{problem:?}");
        assert!(matches!(problem.origin, Origin::File(..)), "{problem:?}");
        // What is nested too deeply has no line.
        assert!(problem.origin.line() <= lines, "{problem:?}");
    }
    if !problems.is_empty() {
        let error = problem::error_of(problems);
        assert!((1..=100).contains(&error.field_violations().len()));
    }
}

/// Settings that were read are the same when they are read again: as `config show` prints them, and as serde does.
fn assert_shown(resolved: Resolved<Config>) {
    let options = Options::of_node();
    let settings = serde_json::to_value(&resolved.settings).unwrap();
    let again: Config = serde_json::from_value(settings.clone()).unwrap();
    assert_eq!(serde_json::to_value(again).unwrap(), settings);
    let entries = resolved.given.into_iter().map(|(key, given)| {
        let declared = options.find(&key).unwrap();
        let value = match declared.kind {
            // A list has several texts, and each may have a comma.
            Kind::Texts => Raw::Typed(given.shown),
            _ => Raw::Text(value_text(&given.shown)),
        };
        let origin = Origin::Variable(declared.variable());
        Entry { key, value, origin }
    });
    let again = resolve::<Config>(options, entries.collect());
    let again = again.unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(serde_json::to_value(&again.settings).unwrap(), settings);
}

#[test]
fn files_are_read_or_all_that_is_wrong_has_its_line() {
    let seeds: [&[u8]; 6] = [
        b"demo = true\ndrain = \"1m 30s\"\nkeep_free = \"64MiB\"\nlog = \"info,cidery=debug\"\n",
        b"data_dir = \"/var/lib/cidery\"\nlog_format = \"json\"\ntls_client_auth = 'optional'\n",
        b"role = [\"clerk invoke=a.*,b serve=c read=all\", \"\"\"root admin\"\"\"]\n",
        b"service_limit = [\"a.* rate=10/s burst=5\"]\nprincipal_rate = \"6/m burst=7\"\n",
        b"[limits]\npending = 1_000\ntimeout = \"10s\"\nmessage_bytes = 0x10\nlimits.x.y = {a = 1979-05-27}\n",
        b"a.b.c = [[1, 2.5e9], {x = inf}]\n[[list]]\n[limits.\"a.b\"]\nx = \"\\u00e9\\n\" # note",
    ];
    fuzz("config file", &seeds, |input| {
        let Some((text, entries, problems)) = parsed(input) else {
            return;
        };
        assert_placed(text, &problems);
        match resolve::<Config>(Options::of_node(), entries) {
            Err(others) => assert_placed(text, &others),
            Ok(resolved) if problems.is_empty() => assert_shown(resolved),
            Ok(_) => {}
        }
    });
}

/// Its depth is limited before anything descends into it.
#[test]
fn deep_files_are_refused() {
    for (piece, count) in [("a.", 200_000), ("[", 500_000), ("a={a=", 100_000)] {
        for text in [piece.repeat(count), format!("a = {}", piece.repeat(count))] {
            let (_, entries, problems) = parsed(text.as_bytes()).unwrap();
            let others = resolve::<Config>(Options::of_node(), entries).err();
            assert!(!problems.is_empty() || others.is_some(), "{piece}");
        }
    }
    // Complete ones, too.
    let keys = format!("{}a = 1", "a.".repeat(200_000));
    let table = format!("[{}a]\nx = 1", "a.".repeat(200_000));
    let list = format!("a = {}{}", "[".repeat(200_000), "]".repeat(200_000));
    for text in [keys, table, list] {
        let (_, entries, problems) = parsed(text.as_bytes()).unwrap();
        let others = resolve::<Config>(Options::of_node(), entries).err();
        assert!(!problems.is_empty() || others.is_some());
    }
}

#[test]
fn a_secret_of_a_file_is_in_no_problem() {
    let options = Options::of::<Guarded>();
    let seeds: [&[u8]; 4] = [
        b"token = \"swordfish\"\nname = 'x'\n",
        b"token_file = { a = 'swordfish' }\n[token]\nx = \"swordfish\"\n",
        b"tokem = [\"swordfish\"]\n\"token\" = '''\nswordfish'''\n",
        b"name = \"swordfish\nx = 1 # swordfish\n",
    ];
    fuzz("config secret", &seeds, |input| {
        let Some((_, entries, problems)) = parsed(input) else {
            return;
        };
        // Keys are named, and `token_file` is a path, which is no secret.
        let is_named = |entry: &Entry| entry.key.contains(SECRET) || entry.key == "token_file";
        if entries.iter().any(is_named) {
            return;
        }
        let others = resolve::<Guarded>(&options, entries).err();
        let shown = format!("{problems:?} {others:?}");
        assert!(!shown.contains(SECRET), "{shown}");
    });
}

#[test]
fn variables_are_read_and_those_of_no_option_are_not_shown() {
    let options = Options::of_node();
    let seeds: [&[u8]; 5] = [
        b"CIDERY_DEMO=1\nCIDERY_DRAIN=1m\nCIDERY_LIMITS__PENDING=1_000",
        b"CIDERY_ROLE=clerk invoke=a.*\nCIDERY_PRINCIPAL_RATE=1/s\nCIDERY_IN_MEMORY=true",
        b"CIDERY_API_KEY=swordfish\nCIDERY_TOKEM=swordfish\nCIDERY_LIMITS__X=swordfish",
        b"CIDERY_SERVICE_PORT_X=swordfish\nHOME=swordfish\nCIDERY_demo=swordfish",
        b"CIDERY_LOG=info\nCIDERY_KEEP_FREE=64MiB\nCIDERY_STORE_ENCRYPTED_ONLY=0",
    ];
    fuzz("environment", &seeds, |input| {
        let lines = input.split(|byte| *byte == b'\n');
        let pairs = lines.filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b'=')?;
            let (name, value) = (line.get(..at)?, line.get(at + 1..)?);
            let os = |bytes: &[u8]| {
                use std::os::unix::ffi::OsStringExt as _;
                std::ffi::OsString::from_vec(bytes.to_vec())
            };
            let is_quick = !name.starts_with(b"CIDERY_LISTEN") && name != b"CIDERY_ALLOW_HOST";
            is_quick.then(|| (os(name), os(value)))
        });
        let environment = Environment::of(pairs);
        let (entries, problems) = environment.read(options);
        let unknown = environment.unknown(options);
        let of_options = resolve::<Config>(options, entries.clone());
        if let Ok(resolved) = of_options {
            assert_shown(resolved);
        }
        // The name of a variable is shown, its value is not.
        let shown = format!("{problems:?} {unknown:?} {environment:?}");
        let is_named = |problem: &Problem| problem.origin.to_string().contains(SECRET);
        let is_named =
            problems.iter().any(is_named) || unknown.iter().any(|it| it.contains(SECRET));
        let is_named = is_named || entries.iter().any(|entry| entry.key.contains(SECRET));
        assert!(is_named || !shown.contains(SECRET), "{shown}");
    });
}

#[test]
fn roles_and_rates_are_read_or_refused() {
    let seeds: [&[u8]; 6] = [
        b"clerk invoke=customer.*,order.get serve=crm.* read=all control=none admin",
        b"root admin",
        b"a invoke=* read=own control=group",
        b"100/s burst=200",
        b"0.5/m",
        b"a.* rate=10/h burst=3 concurrency=1 queue=0 pending=7",
    ];
    fuzz("role", &seeds, |input| {
        let Ok(text) = std::str::from_utf8(input) else {
            return;
        };
        match role(text) {
            Ok((name, rights)) => {
                assert!(!name.is_empty() && !name.contains(char::is_control));
                let written = rights_to_proto(&rights);
                assert_eq!(rights_from_proto("", &written).unwrap(), rights);
            }
            Err(message) => assert!(!message.is_empty()),
        }
        for read in [rate(text).err(), service_limit(text).err()] {
            assert!(read.is_none_or(|message| !message.is_empty()));
        }
        if let Ok(rate) = rate(text) {
            let written = format!("{rate} burst={}", rate.burst());
            let again = super::limit_text::rate(&written).unwrap();
            assert_eq!(again.burst(), rate.burst(), "{written}");
        }
    });
}
