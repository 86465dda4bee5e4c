//! Tests of the language of filters.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{MAX_BYTES, parse, write};
use crate::codec::convert::timestamp_to_proto;
use crate::codec::proto::v1;

const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn parsed(text: &str) -> v1::InvocationFilter {
    parse(text, NOW).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The violations of a text, as `CODE message`.
fn faults(text: &str) -> Vec<String> {
    let error = parse(text, NOW).expect_err(text);
    let faults = error.field_violations().iter();
    faults
        .inspect(|fault| assert_eq!(fault.path, "/filter_expression"))
        .map(|fault| format!("{} {}", fault.code, fault.message))
        .collect()
}

fn time(text: &str) -> Option<prost_types::Timestamp> {
    Some(timestamp_to_proto(text.parse().unwrap()))
}

fn ago(seconds: i64) -> Option<prost_types::Timestamp> {
    let age = SignedDuration::from_secs(seconds);
    Some(timestamp_to_proto(NOW.checked_sub(age).unwrap()))
}

/// Sets the fields of a filter.
type Change<'c> = &'c dyn Fn(&mut v1::InvocationFilter);

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn criteria_are_those_of_the_message() {
    let cid = "01890a5d-ac96-774b-bcce-b302099a8057";
    let of = |change: Change<'_>| {
        let mut filter = v1::InvocationFilter::default();
        change(&mut filter);
        filter
    };
    let cases: [(&str, Change<'_>); 15] = [
        ("", &|_| {}),
        (" \n", &|_| {}),
        ("service = \"customer.get\"", &|it| {
            it.services = vec!["customer.get".to_owned()];
        }),
        ("service=(a OR 'b.c')", &|it| {
            it.services = vec!["a".to_owned(), "b.c".to_owned()];
        }),
        ("state = (FAILED OR expired)", &|it| {
            it.states = vec![v1::State::Failed.into(), v1::State::Expired.into()];
        }),
        ("pending_reason = HELD", &|it| {
            it.pending_reasons = vec![v1::PendingReason::Held.into()];
        }),
        ("failure_reason = TIMEOUT", &|it| {
            it.failure_reasons = vec!["TIMEOUT".to_owned()];
        }),
        (r#"failure_message : "say \"no\"""#, &|it| {
            it.failure_text = "say \"no\"".to_owned();
        }),
        (
            r#"accept_time >= "2026-11-30T04:00:00+01:00" AND accept_time < 2026-12-01"#,
            &|it| {
                it.accepted_after = time("2026-11-30T03:00:00Z");
                it.accepted_before = time("2026-12-01T00:00:00Z");
            },
        ),
        (
            "end_time > 2026-11-30 AND end_time <= '2026-12-01' AND end_time < -1s",
            &|it| {
                it.ended_after = time("2026-11-30T00:00:00.000000001Z");
                it.ended_before = time("2026-12-01T00:00:00.000000001Z");
            },
        ),
        ("accept_time >= -2h AND accept_time >= '-1d 12h'", &|it| {
            it.accepted_after = ago(7_200);
        }),
        (
            "metadata.tenant = acme AND metadata.'a b' = '' AND metadata.x.y = 1",
            &|it| {
                it.metadata = [("tenant", "acme"), ("a b", ""), ("x.y", "1")]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into();
            },
        ),
        (
            "parent = 01890a5d-ac96-774b-bcce-b302099a8057 AND dead_letter = true",
            &|it| {
                it.parent_cid = cid.to_owned();
                it.dead_letter = true;
            },
        ),
        ("kind = group AND state = RUNNING", &|it| {
            it.groups_only = true;
            it.states = vec![v1::State::Running.into()];
        }),
        (
            "((root = '01890a5d-ac96-774b-bcce-b302099a8057') AND (group = 01890a5d-ac96-774b-bcce-b302099a8057))",
            &|it| {
                it.root_cid = cid.to_owned();
                it.group_cid = cid.to_owned();
            },
        ),
    ];
    for (text, change) in cases {
        assert_eq!(parsed(text), of(change), "{text}");
    }
}

/// What is refused, and the beginning of its first violation.
const REFUSED: &[(&str, &str)] = &[
    (
        "state",
        "MALFORMED column 6: expected an operator after `state`",
    ),
    ("state =", "MALFORMED column 8: expected a value after `=`"),
    ("= a", "MALFORMED column 1: expected a criterion"),
    (
        "state = FAILED OR service = a",
        "MALFORMED column 16: `OR` joins values of one field",
    ),
    (
        "state = FAILED and service = a",
        "MALFORMED column 16: `and` is written `AND`",
    ),
    (
        "state = FAILED service = a",
        "MALFORMED column 16: expected `AND`",
    ),
    (
        "state = FAILED AND",
        "MALFORMED column 19: expected a criterion",
    ),
    ("NOT state = FAILED", "MALFORMED column 1: `NOT` and `-`"),
    ("-state = FAILED", "MALFORMED column 1: `NOT` and `-`"),
    (
        "state = (FAILED AND EXPIRED)",
        "MALFORMED column 17: expected `)`: values are joined by `OR`",
    ),
    (
        "state = (FAILED",
        "MALFORMED column 9: the closing `)` is missing",
    ),
    (
        "(state = FAILED",
        "MALFORMED column 1: the closing `)` is missing",
    ),
    ("state = FAILED)", "MALFORMED column 15: `)` closes nothing"),
    ("service = a, b", "MALFORMED column 12: `,`: several values"),
    (
        "has(service)",
        "MALFORMED column 4: functions are not supported",
    ),
    ("service ! a", "MALFORMED column 9: `!` is not an operator"),
    (
        "service = 'a",
        "MALFORMED column 11: the closing `'` is missing",
    ),
    (r#"service = "a\x""#, "MALFORMED column 13: unknown escape"),
    (
        "accept_time > 2026-11-30T03:00Z",
        "MALFORMED column 28: expected `AND`: a value with `:`",
    ),
    (
        "accept_time > 2026-11-30T03",
        "MALFORMED column 15: `2026-11-30T03` is not a time",
    ),
    (
        "accept_time > 2h",
        "MALFORMED column 15: `2h` is not a time",
    ),
    (
        "accept_time > --2h",
        "MALFORMED column 15: `--2h` is not a time",
    ),
    (
        "accept_time = 2026-11-30",
        "NOT_ALLOWED column 13: `accept_time` does not have the operator `=`",
    ),
    (
        "service != a",
        "NOT_ALLOWED column 9: `service` does not have the operator `!=`: it has `=`",
    ),
    (
        "failure_message = a",
        "NOT_ALLOWED column 17: `failure_message` does not have the operator `=`: it has `:`",
    ),
    (
        "parent = (a OR b)",
        "NOT_ALLOWED column 16: `parent` has one value",
    ),
    ("parent = a", "MALFORMED column 10: "),
    (
        "service = 'a b'",
        "MALFORMED column 11: `a b` is not a service name",
    ),
    ("metadata = a", "MALFORMED column 1: `metadata` needs a key"),
    (
        "metadata. = a",
        "MALFORMED column 1: `metadata` needs a key",
    ),
    (
        "dead_letter = false",
        "UNKNOWN_VALUE column 15: must be `true`",
    ),
    ("kind = MEMBER", "UNKNOWN_VALUE column 8: must be `GROUP`"),
    ("failure_reason = ''", "EMPTY column 18: must not be empty"),
    (
        "state = STATE_FAILED",
        "UNKNOWN_VALUE column 9: `STATE_FAILED` is not a state: one of PENDING, ",
    ),
    ("pending_reason = UNSPECIFIED", "UNKNOWN_VALUE column 18: "),
    (
        "services = a",
        "UNKNOWN_KEY column 1: `services` is not a field: did you mean `service`?",
    ),
    (
        "status = FAILED",
        "UNKNOWN_KEY column 1: `status` is not a field: did you mean `state`?",
    ),
    (
        "x = 1",
        "UNKNOWN_KEY column 1: `x` is not a field: the fields are service, state, ",
    ),
    (
        "state = FAILED AND\n  stat = x",
        "UNKNOWN_KEY line 2, column 3: `stat` is not a field",
    ),
    ("\"ä\" = 1", "MALFORMED column 1: expected a criterion"),
    ("service = 'ä' AND x = 1", "MALFORMED column 11: "),
    (
        "state = FAILED AND state = EXPIRED",
        "DUPLICATE column 20: `state` is given twice",
    ),
];

#[test]
fn what_the_language_lacks_is_refused_at_its_place() {
    for (text, expected) in REFUSED {
        let faults = faults(text);
        assert!(faults[0].starts_with(expected), "{text}: {faults:?}");
    }
}

#[test]
fn all_violations_are_reported_at_once() {
    let faults = faults("state = (A OR B) AND sevice = c AND end_time > 1 AND service = 'd e'");
    let columns: Vec<_> = faults
        .iter()
        .map(|fault| fault.split(':').next().unwrap())
        .collect();
    let expected = [
        "UNKNOWN_VALUE column 10",
        "UNKNOWN_VALUE column 15",
        "UNKNOWN_KEY column 22",
        "MALFORMED column 48",
        "MALFORMED column 64",
    ];
    assert_eq!(columns, expected);
}

#[test]
fn length_and_depth_are_limited() {
    let nested = |depth: usize| format!("{}state = FAILED{}", "(".repeat(depth), ")".repeat(depth));
    parsed(&nested(16));
    assert!(faults(&nested(17))[0].starts_with("TOO_DEEP column 17: "));
    let of_bytes = |bytes: usize| format!("service = {}", "a".repeat(bytes - "service = ".len()));
    assert!(faults(&of_bytes(MAX_BYTES))[0].starts_with("MALFORMED column 11: "));
    assert!(faults(&of_bytes(MAX_BYTES + 1))[0].starts_with("TOO_LARGE has 8193 bytes"));
}

/// Instants of which RFC 3339 and the contract have all digits.
fn any_time() -> impl Strategy<Value = Option<prost_types::Timestamp>> {
    let time = (0_i64..4_000_000_000, 0..1_000_000_000_i32);
    prop::option::of(time.prop_map(|(seconds, nanos)| prost_types::Timestamp { seconds, nanos }))
}

prop_compose! {
    fn any_filter()(
        services in prop::collection::vec("[a-z-]{1,4}(\\.[A-Z0-9_]{1,3})?", 0..3),
        states in prop::collection::vec(1..=6_i32, 0..3),
        pending_reasons in prop::collection::vec(1..=8_i32, 0..3),
        principals in prop::collection::vec(".{1,8}", 0..3),
        failure_reasons in prop::collection::vec(".{1,8}", 0..3),
        failure_text in ".{0,8}",
        times in (any_time(), any_time(), any_time(), any_time()),
        metadata in prop::collection::hash_map("\\PC{1,4}", ".{0,4}", 0..3),
        dead_letter: bool,
        groups_only: bool,
        related: bool,
    ) -> v1::InvocationFilter {
        let cid = if related { "01890a5d-ac96-774b-bcce-b302099a8057" } else { "" };
        v1::InvocationFilter {
            services, states, pending_reasons, principals, failure_reasons, failure_text, metadata, dead_letter,
            groups_only,
            accepted_after: times.0, accepted_before: times.1, ended_after: times.2, ended_before: times.3,
            parent_cid: cid.to_owned(), root_cid: cid.to_owned(), group_cid: cid.to_owned(),
        }
    }
}

proptest! {
    #[test]
    fn a_filter_that_is_written_is_parsed_as_the_same_one(filter in any_filter()) {
        prop_assert_eq!(parse(&write(&filter), NOW).unwrap(), filter);
    }
}
