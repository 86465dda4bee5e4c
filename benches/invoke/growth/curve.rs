//! The cost at each size, and the exponent with which it grows.

use serde_json::json;

use crate::record::median_of;

/// The greatest slope of a flat curve, and of the part of a linear one that varies.
const MAX_FLAT: f64 = 0.1;
const MAX_LINEAR: f64 = 1.05;
/// The part of a cost that varies is looked at where it is at least this part of the cost of the smallest size: below,
/// it is noise.
const MIN_VARYING: f64 = 0.25;

/// What one round measured, or the median of all.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    /// In the unit of the curve.
    pub(super) cost: f64,
    /// Operations per second, where they have a rate.
    pub(super) per_second: Option<f64>,
}

impl Sample {
    pub(super) fn median(rounds: &[Self]) -> Self {
        Self {
            cost: median_of(rounds.iter().map(|round| round.cost)),
            per_second: rounds
                .iter()
                .all(|round| round.per_second.is_some())
                .then(|| median_of(rounds.iter().filter_map(|round| round.per_second))),
        }
    }

    /// A cost without a rate.
    pub(super) fn cost(cost: f64) -> Self {
        Self {
            cost,
            per_second: None,
        }
    }
}

/// How the cost is meant to grow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    Flat,
    Linear,
}

/// The costs of one operation by size.
pub(super) struct Curve {
    pub(super) title: String,
    pub(super) unit: &'static str,
    pub(super) growth: Growth,
    /// Sizes in ascending order.
    pub(super) points: Vec<(f64, Sample)>,
}

impl Curve {
    pub(super) fn new(
        title: impl Into<String>,
        unit: &'static str,
        growth: Growth,
        sizes: &[usize],
        samples: Vec<Sample>,
    ) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "sizes are small numbers")]
        let sizes = sizes.iter().map(|size| *size as f64);
        Self {
            title: title.into(),
            unit,
            growth,
            points: sizes.zip(samples).collect(),
        }
    }

    /// The exponent: of the whole cost, or of the part that varies. `None` where that part is too small to be told from
    /// noise.
    pub(super) fn exponent(&self) -> Option<f64> {
        let (first_size, first) = self.points.first()?;
        let points = self.points.iter();
        let points: Vec<(f64, f64)> = match self.growth {
            Growth::Flat => points.map(|(size, sample)| (*size, sample.cost)).collect(),
            Growth::Linear => points
                .map(|(size, sample)| (size - first_size, sample.cost - first.cost))
                .filter(|(_, varies)| *varies > MIN_VARYING * first.cost)
                .collect(),
        };
        slope(&points)
    }

    /// Of a linear curve, the cost of one more, over all sizes.
    pub(super) fn each(&self) -> Option<f64> {
        let ((first, low), (last, high)) = (self.points.first()?, self.points.last()?);
        let is_linear = self.growth == Growth::Linear;
        is_linear.then(|| (high.cost - low.cost) / (last - first))
    }

    pub(super) fn verdict(&self) -> &'static str {
        match (self.growth, self.exponent()) {
            (_, None) => "varies too little",
            (Growth::Flat, Some(exponent)) if exponent.abs() <= MAX_FLAT => "flat",
            (Growth::Flat, Some(exponent)) if exponent < 0.0 => "falls",
            (Growth::Flat, Some(_)) => "NOT FLAT",
            (Growth::Linear, Some(exponent)) if exponent <= MAX_LINEAR => "linear",
            (Growth::Linear, Some(_)) => "NOT LINEAR",
        }
    }

    pub(super) fn show(&self) {
        let exponent = self.exponent();
        let exponent = exponent.map_or_else(String::new, |it| format!(", exponent {it:+.3}"));
        println!(
            "  {}, {}{exponent}: {}",
            self.title,
            self.unit,
            self.verdict()
        );
        if let Some(each) = self.each() {
            println!("    {each:.3} {} for each more", self.unit);
        }
        for (size, Sample { cost, per_second }) in &self.points {
            let rate = per_second.map_or_else(String::new, |it| format!("{it:>12.0} per second"));
            println!("    {size:>10.0} {cost:>12.2}{rate}");
        }
    }
}

/// The slope of the line through points, both coordinates as logarithms, with the least sum of squares.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    if points.len() < 2 {
        return None;
    }
    let logs = points.iter().map(|(x, y)| (x.ln(), y.ln()));
    let count: f64 = points.iter().map(|_| 1.0).sum();
    let (x_sum, y_sum) = logs
        .clone()
        .fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
    let (x_mean, y_mean) = (x_sum / count, y_sum / count);
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (x, y) in logs {
        covariance += (x - x_mean) * (y - y_mean);
        variance += (x - x_mean).powi(2);
    }
    Some(covariance / variance)
}

/// The points of curves as lines of JSON, as the other comparisons write them, and a line for each exponent.
pub(super) fn json(name: &str, axis: &str, curves: &[Curve]) -> String {
    let mut lines = String::new();
    for curve in curves {
        let common = |figure: &str| {
            json!({
                "row": format!("growth-{name}"),
                "title": curve.title,
                "x": axis,
                "who": "cidery",
                "figure": figure,
            })
        };
        for (size, sample) in &curve.points {
            let mut line = common(curve.unit);
            line["at"] = json!(size);
            line["median"] = json!(sample.cost);
            line["per_second"] = json!(sample.per_second);
            lines += &format!("{line}\n");
        }
        let mut line = common("exponent");
        line["median"] = json!(curve.exponent());
        line["verdict"] = json!(curve.verdict());
        lines += &format!("{line}\n");
    }
    lines
}
