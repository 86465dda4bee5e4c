//! `scripts/guard` compares each kind of call that it counts with a committed number.

use std::collections::BTreeSet;

#[test]
fn each_kind_of_call_that_is_counted_has_committed_numbers() {
    let calls = include_str!("../../../benches/guard/calls.rs");
    let (_, kinds) = calls.split_once("const KINDS: ").unwrap();
    let (_, kinds) = kinds.split_once("= [").unwrap();
    let (kinds, _) = kinds.split_once("];").unwrap();
    let kinds: Vec<&str> = kinds.split('"').skip(1).step_by(2).collect();
    assert!(kinds.len() >= 5, "{kinds:?}");
    let mut counted = BTreeSet::new();
    for kind in kinds {
        counted.extend([(kind, "instructions"), (kind, "allocations")]);
        if kind.ends_with("-on-disk") {
            counted.insert((kind, "statements"));
        }
    }
    let counts = include_str!("../../../benches/guard/counts.txt");
    let lines = counts.lines().filter(|line| line.ends_with('%'));
    let committed: BTreeSet<(&str, &str)> = lines
        .map(|line| {
            let mut fields = line.split_whitespace();
            (fields.next().unwrap(), fields.next().unwrap())
        })
        .collect();
    assert_eq!(committed, counted);
}
