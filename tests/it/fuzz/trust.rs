//! Fuzz targets of what operators write about trust: name patterns, limits, rates, keys of a store.

use cidery::StoreKeys;
use cidery::model::access::NamePattern;
use cidery::model::rate::Rate;
use cidery::model::service_limit::ServiceLimit;

use super::engine::fuzz;

/// Whether a name matches a pattern, told by a table of all prefixes of both.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let mut before = vec![false; name.len() + 1];
    before[0] = true;
    for c in pattern {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match c {
                b'*' => before[at] || (at > 0 && next[at - 1]),
                _ => at > 0 && before[at - 1] && name[at - 1] == *c,
            };
        }
        before = next;
    }
    before[name.len()]
}

#[test]
fn name_patterns_match_what_they_say() {
    let seeds: [&[u8]; 5] = [
        b"customer.*\ncustomer.get",
        b"*a*ab*\naab",
        b"a*a\na",
        b"crm.x_1-y\ncrm.x_1-y",
        b"*.*.*\na.b",
    ];
    fuzz("name pattern", &seeds, |input| {
        let text = String::from_utf8_lossy(input);
        let (pattern, name) = text.split_once('\n').unwrap_or((&text, ""));
        let Ok(parsed) = NamePattern::parse("/x", pattern) else {
            return;
        };
        assert_eq!(parsed.as_str(), pattern);
        let expected = matches(pattern.as_bytes(), name.as_bytes());
        assert_eq!(parsed.matches(name), expected, "{pattern} {name}");
    });
}

#[test]
fn limits_and_rates_survive_a_round_trip() {
    let seeds: [&[u8]; 5] = [
        b"customer.* rate=100/s burst=200 concurrency=10 queue=50 pending=1000",
        b"a rate=0.001/s",
        b"* rate=7/d burst=4294967295 queue=0",
        b"a.* burst=1 rate=1/s rate=2/s x=1 y",
        b"3.7/m",
    ];
    fuzz("service limit", &seeds, |input| {
        let text = String::from_utf8_lossy(input);
        match ServiceLimit::parse("/limit", &text) {
            Ok(limit) => {
                let written = limit.to_string();
                let again = ServiceLimit::parse("", &written).unwrap();
                // A rate is written with three digits.
                assert_eq!(again.to_string(), written);
                assert_eq!(
                    (again.pattern, again.pending),
                    (limit.pattern, limit.pending)
                );
            }
            Err(error) => {
                let violations = error.field_violations();
                assert!(!violations.is_empty() && violations.iter().all(|it| it.path == "/limit"));
            }
        }
        if let Ok(rate) = Rate::parse(&text) {
            let again = Rate::parse(&rate.to_string()).unwrap();
            let (a, b) = (again.calls_per_second(), rate.calls_per_second());
            assert!((a - b).abs() <= b / 1_000.0, "{rate} {a} {b}");
        }
    });
}

/// A file of keys is a secret as a whole: an error names lines, and repeats nothing.
#[test]
fn store_keys_are_read_or_their_lines_are_named() {
    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let seeds = [
        format!("# newest first\nk2:{KEY}\r\n\n2026-11.a_b:{KEY}\n"),
        format!("k1:{KEY}\nk1:{KEY}\n{KEY}\n-x:{KEY}"),
        format!("{KEY}:k1\nk:{}", &KEY[..40]),
    ];
    let seeds: Vec<&[u8]> = seeds.iter().map(String::as_bytes).collect();
    fuzz("store keys", &seeds, |input| {
        let text = String::from_utf8_lossy(input);
        let shown = match StoreKeys::parse(&text) {
            Ok(keys) => format!("{keys:?}"),
            Err(error) => {
                assert_eq!(error.reason(), "STORE_KEY_INVALID");
                for violation in error.field_violations() {
                    assert!(violation.path.starts_with("/lines"), "{violation:?}");
                }
                format!("{error} {error:?}")
            }
        };
        // A piece of the key may be a valid id, which is no secret.
        let is_id = text.lines().any(|line| {
            line.split(':')
                .next()
                .is_some_and(|id| id.contains(&KEY[4..20]))
        });
        assert!(is_id || !shown.contains(&KEY[4..20]), "{shown}");
    });
}
