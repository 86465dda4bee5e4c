//! The page of all limits, `docs/limits.md`: it has every option, with its default and an answer that exists.

use std::collections::BTreeMap;
use std::time::Duration;

use cidery::engine::Limits;
use cidery::model::error::reason;

const PAGE: &str = include_str!("../../docs/limits.md");

/// A row of a table: the option, its default, its answer, and whether to retry.
struct Row {
    option: &'static str,
    cells: [&'static str; 3],
}

fn rows() -> impl Iterator<Item = Row> {
    PAGE.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let option = cells.next()?.strip_suffix('`')?;
        let cells = [
            cells.next()?,
            cells.next()?,
            cells.next()?.strip_suffix(" |")?,
        ];
        Some(Row { option, cells })
    })
}

/// A default of the page, as `Debug` writes it.
fn debug_of(default: &str) -> String {
    let (number, unit) = match default.rsplit_once(' ') {
        Some((number, unit)) if unit.starts_with(char::is_alphabetic) => (number, unit),
        _ => (default, ""),
    };
    if number == "none" {
        return "None".to_owned();
    }
    if number.contains('.') {
        return number.to_owned();
    }
    let number: u64 = number.replace(' ', "").parse().unwrap();
    let seconds = |seconds| format!("{:?}", Duration::from_secs(number * seconds));
    match unit {
        "" => number.to_string(),
        "KiB" => (number << 10).to_string(),
        "MiB" => (number << 20).to_string(),
        "ms" => format!("{:?}", Duration::from_millis(number)),
        "s" => seconds(1),
        "min" => seconds(60),
        "h" => seconds(3_600),
        "days" => seconds(86_400),
        _ => panic!("{default}"),
    }
}

/// The fields of the limits with their defaults.
fn defaults() -> BTreeMap<String, String> {
    let limits = format!("{:#?}", Limits::default());
    let fields = limits.lines().filter_map(|line| {
        let (name, value) = line.strip_prefix("    ")?.split_once(": ")?;
        let value = value.trim_end_matches(',');
        Some((name.to_owned(), value.replace("[]", "None")))
    });
    fields.collect()
}

#[test]
fn the_page_has_every_option_with_its_default() {
    let page = rows().map(|row| (row.option.to_owned(), debug_of(row.cells[0])));
    let page: BTreeMap<_, _> = page.collect();
    assert_eq!(page, defaults());
}

#[test]
fn the_answers_of_the_page_exist() {
    let mut answers = 0;
    for Row { option, cells } in rows() {
        assert!(["waits", "never", "–"].contains(&cells[2]), "{option}");
        let words = cells[1].split('`').skip(1).step_by(2);
        let is_reason = |word: &&str| word.contains('_') && **word == word.to_uppercase();
        for answer in words
            .filter(is_reason)
            .filter(|word| *word != "REFUSED_STREAM")
        {
            assert!(reason::ALL.contains(&answer), "{option}: {answer}");
            answers += 1;
        }
    }
    assert!(answers > 20);
}
