//! Checks of `docs/reliability.md`: each test of a promise exists, and is repeated as often as it says.

use std::path::Path;

use super::{assert_none, shown, sources};

const DOCUMENT: &str = include_str!("../../../docs/reliability.md");
const SCRIPT: &str = include_str!("../../../scripts/test");

/// The last two cells of the rows of the tables of faults: the tests, and the rounds.
fn rows() -> Vec<(Vec<&'static str>, &'static str)> {
    let tables = DOCUMENT
        .split("\n| fault | promise | test | rounds |\n")
        .skip(1);
    let lines = tables.flat_map(|table| table.lines().skip(1).take_while(|line| !line.is_empty()));
    let cells = lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect());
    let rows = cells.map(|cells: Vec<&str>| match cells.as_slice() {
        [_, _, tests, rounds] => (tests.split(", ").collect(), *rounds),
        _ => panic!("a row has four cells: {cells:?}"),
    });
    rows.collect()
}

/// Whether a test of the integration tests, or of the library, has this path.
fn exists(path: &str) -> bool {
    let (module, name) = path.rsplit_once("::").unwrap_or_default();
    let module = module.strip_suffix("::tests").unwrap_or(module);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = module.replace("::", "/");
    let files = ["tests/it", "src"].map(|root| {
        [
            folder.join(format!("{root}/{file}.rs")),
            folder.join(format!("{root}/{file}/mod.rs")),
        ]
    });
    files.as_flattened().iter().any(|file| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let place = text.find(&format!("fn {name}("));
        place.is_some_and(|at| {
            // The attributes are between it and the item before it.
            let attributes = text[..at].rsplit("\n\n").next().unwrap_or_default();
            attributes.contains("#[test]") || attributes.contains("#[tokio::test")
        })
    })
}

#[test]
fn the_tests_of_promises_exist() {
    let rows = rows();
    assert!(rows.len() > 30, "{rows:?}");
    let tests = rows.iter().flat_map(|(tests, _)| tests);
    let missing = tests.filter(|test| !exists(test.trim_matches('`')));
    let faults: Vec<_> = missing
        .map(|test| format!("docs/reliability.md: no test {test}"))
        .collect();
    assert_none(&faults);
}

/// The values that a part of the script gives a variable.
fn values(part: &str, variable: &str) -> Option<u64> {
    let (_, rest) = part.split_once(&format!("{variable}="))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// What a test takes where the variable is not set: the first number behind its name.
fn default_of(variable: &str) -> Option<u64> {
    let quoted = format!("env::var(\"{variable}\")");
    sources("tests/it").iter().find_map(|(path, text)| {
        if shown(path).contains("tidy") {
            return None;
        }
        let (_, rest) = text.split_once(&quoted)?;
        let (_, rest) = rest.split_once("or(")?;
        let digits = |c: &char| c.is_ascii_digit() || *c == '_';
        let number: String = rest.chars().take_while(digits).collect();
        number.replace('_', "").parse().ok()
    })
}

/// Cells such as `4 × VARIABLE: 48, 1 200`: in `scripts/test`, and with `--soak`.
#[test]
fn the_rounds_of_promises_are_those_of_the_script() {
    let (always, soak) = SCRIPT.split_once("\nif $soak; then\n").unwrap();
    let (mut faults, mut checked) = (Vec::new(), 0);
    for (_, cell) in rows() {
        let Some((variable, numbers)) = cell.split_once("`: ") else {
            continue;
        };
        let (factor, variable) = variable.split_once('`').unwrap();
        let factor = match factor.split_once(" ×") {
            Some((factor, _)) => factor.parse().unwrap(),
            None => 1,
        };
        let in_script = values(always, variable).or_else(|| default_of(variable));
        let expected = [in_script, values(soak, variable)];
        let expected = expected.map(|value| value.map(|value| value * factor));
        let numbers = numbers.split(", ");
        let numbers = numbers.map(|number| number.replace(' ', "").parse().ok());
        let numbers: Vec<Option<u64>> = numbers.collect();
        if numbers != expected || expected.contains(&None) {
            faults.push(format!("docs/reliability.md: {cell}: {expected:?}"));
        }
        checked += 1;
    }
    assert!(checked > 5);
    assert!(soak.contains("seq 50"), "races are repeated 50 times");
    assert_none(&faults);
}
