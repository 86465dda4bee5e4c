//! What was measured: a line of a table for people, and of JSON for `scripts/bench`, which draws and compares.

use std::fmt::{self, Display, Formatter};
use std::io::Write as _;

use serde::Serialize;

use crate::settings::settings;

/// What the figures of one table have in common. One [`figure`](Self::figure) of it is one line of JSON.
#[derive(Clone, Serialize)]
pub(crate) struct Sheet {
    /// A stable name, such as `accept-run`. Sheets of one row with other values of `at` are points of one curve.
    pub(crate) row: &'static str,
    /// What is done, for people.
    pub(crate) title: String,
    /// What differs between the sheets of a row, such as `callers`, and its value here.
    pub(crate) x: &'static str,
    pub(crate) at: f64,
    /// Whose figures these are: `cidery`, and sometimes how it is used.
    pub(crate) who: &'static str,
    /// What they are compared with, in the same rounds.
    pub(crate) against: Option<&'static str>,
}

/// One figure of a sheet.
#[derive(Serialize)]
pub(crate) struct Figure<'a> {
    /// The figure with its unit, such as `calls per second`.
    pub(crate) figure: &'a str,
    /// The value of each round. The median counts.
    pub(crate) values: Vec<f64>,
    /// The values of what it is compared with.
    pub(crate) baseline: Option<Vec<f64>>,
    /// Of the ratio of the medians; of the median itself where nothing is compared.
    pub(crate) goal: Option<Goal>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Display for Goal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
        }
    }
}

/// A line of JSON.
#[derive(Serialize)]
struct Record<'a> {
    #[serde(flatten)]
    sheet: &'a Sheet,
    #[serde(flatten)]
    figure: &'a Figure<'a>,
    median: f64,
    baseline_median: Option<f64>,
    ratio: Option<f64>,
}

impl Sheet {
    /// Prints the head of the table.
    pub(crate) fn head(&self) {
        let one = self.at.to_bits() == 1_f64.to_bits();
        let x = if one {
            self.x.trim_end_matches('s')
        } else {
            self.x
        };
        println!("\n{}, {} {x}", self.title, self.at);
        let (against, ratio) = self.against.map_or(("", ""), |name| (name, "ratio"));
        println!("{:<28} {:>12} {against:>16} {ratio:>8}  goal", "", self.who);
    }

    /// Prints a figure and writes its record.
    pub(crate) fn figure(&self, figure: &Figure<'_>) {
        let median = median_of(figure.values.iter().copied());
        let baseline_median = figure
            .baseline
            .as_ref()
            .map(|values| median_of(values.iter().copied()));
        let ratio = baseline_median.map(|baseline| median / baseline);
        let goal = figure.goal.map(|goal| goal.to_string()).unwrap_or_default();
        let or_blank = |value: Option<String>| value.unwrap_or_default();
        println!(
            "{:<28} {median:>12.1} {:>16} {:>8}  {goal}",
            figure.figure,
            or_blank(baseline_median.map(|value| format!("{value:.1}"))),
            or_blank(ratio.map(|value| format!("{value:.2}"))),
        );
        let Some(json) = settings().json() else {
            return;
        };
        let record = Record {
            sheet: self,
            figure,
            median,
            baseline_median,
            ratio,
        };
        let line = serde_json::to_string(&record).unwrap();
        writeln!(json.lock().unwrap(), "{line}").unwrap();
    }
}

pub(crate) fn median_of(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
