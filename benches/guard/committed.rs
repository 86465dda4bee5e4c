//! `counts.txt`: what calls cost when it was written, and by how much that may grow.

use std::fs;
use std::path::PathBuf;

/// The margin of a number that is new, in per cent.
const DEFAULT_MARGIN: f64 = 2.0;
const COUNTED_WITH: &str = "counted-with";

/// The file.
pub(crate) struct Committed {
    /// The comment at its head.
    head: Vec<String>,
    /// The tools of the machine on which it was written.
    pub(crate) tools: String,
    lines: Vec<Line>,
}

/// What one call of a kind may cost.
pub(crate) struct Line {
    pub(crate) kind: String,
    /// What is counted.
    pub(crate) counted: String,
    pub(crate) number: f64,
    /// In per cent.
    pub(crate) margin: f64,
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/guard/counts.txt")
}

impl Committed {
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string(path()).unwrap();
        let (head, rest): (Vec<&str>, Vec<&str>) =
            text.lines().partition(|line| line.starts_with('#'));
        let mut tools = String::new();
        let mut lines = Vec::new();
        for line in rest {
            match line.split_once(' ') {
                None => {}
                Some((COUNTED_WITH, with)) => with.trim().clone_into(&mut tools),
                Some(_) => lines.push(Line::parse(line)),
            }
        }
        let head = head.into_iter().map(str::to_owned).collect();
        Self { head, tools, lines }
    }

    pub(crate) fn find(&self, kind: &str, counted: &str) -> Option<&Line> {
        let mut lines = self.lines.iter();
        lines.find(|line| line.kind == kind && line.counted == counted)
    }

    /// Replaces the numbers. Margins stay.
    pub(crate) fn write(&self, tools: &str, numbers: &[(&str, &str, f64)]) {
        let mut text = self.head.join("\n");
        text.push_str(&format!("\n{COUNTED_WITH} {tools}\n\n"));
        for (kind, counted, number) in numbers {
            let known = self.find(kind, counted);
            let margin = known.map_or(DEFAULT_MARGIN, |line| line.margin);
            text.push_str(&format!(
                "{kind:<23} {counted:<13} {number:>9} {margin:>5} %\n"
            ));
        }
        fs::write(path(), text).unwrap();
    }
}

impl Line {
    fn parse(line: &str) -> Self {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [kind, counted, number, margin, "%"] = fields.as_slice() else {
            panic!("`{line}` is not a kind, what is counted, a number and a margin in %");
        };
        Self {
            kind: (*kind).to_owned(),
            counted: (*counted).to_owned(),
            number: number.parse().unwrap(),
            margin: margin.parse().unwrap(),
        }
    }
}
