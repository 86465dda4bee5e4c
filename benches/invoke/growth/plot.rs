//! Curves as an SVG image, both axes logarithmic.

use std::fmt::Write as _;

use super::curve::Curve;

const WIDTH: f64 = 720.0;
/// The area of the curves.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 260.0;
/// The height of a line of the legend.
const LINE: f64 = 18.0;
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000",
];

/// An axis from one power of ten to another.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let high = values.fold(0.0, f64::max).log10().ceil();
        Self {
            low,
            high: high.max(low + 1.0),
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let part = (value.log10() - self.low) / (self.high - self.low);
        self.from + part * (self.to - self.from)
    }

    /// The powers of ten on the axis.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (mut exponent, high) = (self.low, self.high);
        std::iter::from_fn(move || {
            let tick = (exponent <= high).then(|| 10_f64.powf(exponent));
            exponent += 1.0;
            tick
        })
    }
}

/// An image of curves over the sizes.
pub(super) fn svg(axis: &str, curves: &[Curve]) -> String {
    let points = || curves.iter().flat_map(|curve| curve.points.iter());
    let x = Axis::over(points().map(|(size, _)| *size), LEFT, RIGHT);
    let costs = points()
        .map(|(_, sample)| sample.cost)
        .filter(|cost| *cost > 0.0);
    let y = Axis::over(costs, BOTTOM, TOP);
    let legend: f64 = curves.iter().map(|_| LINE).sum();
    let height = BOTTOM + 60.0 + legend;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for tick in x.ticks() {
        let at = x.place(tick);
        let label = at_label(tick);
        line(&mut svg, (at, TOP), (at, BOTTOM));
        text(&mut svg, (at, BOTTOM + 16.0), "middle", &label);
    }
    for tick in y.ticks() {
        let at = y.place(tick);
        line(&mut svg, (LEFT, at), (RIGHT, at));
        text(&mut svg, (LEFT - 6.0, at + 4.0), "end", &at_label(tick));
    }
    let middle = f64::midpoint(LEFT, RIGHT);
    text(&mut svg, (middle, BOTTOM + 34.0), "middle", axis);
    for ((n, curve), colour) in curves.iter().enumerate().zip(COLOURS.iter().cycle()) {
        let places = curve.points.iter().filter(|(_, sample)| sample.cost > 0.0);
        let places: Vec<(f64, f64)> = places
            .map(|(size, sample)| (x.place(*size), y.place(sample.cost)))
            .collect();
        let joined: Vec<String> = places
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let joined = joined.join(" ");
        svg += &format!(
            "<polyline points=\"{joined}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n"
        );
        for (x, y) in places {
            svg += &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>\n");
        }
        let n: f64 = (0..n).map(|_| LINE).sum();
        let at = BOTTOM + 56.0 + n;
        svg += &format!(
            "<rect x=\"{LEFT}\" y=\"{}\" width=\"12\" height=\"4\" fill=\"{colour}\"/>\n",
            at - 6.0
        );
        let exponent = curve.exponent();
        let exponent = exponent.map_or_else(String::new, |it| format!(", exponent {it:.2}"));
        let label = format!("{}, {}{exponent}", curve.title, curve.unit);
        text(&mut svg, (LEFT + 20.0, at), "start", &label);
    }
    svg + "</svg>\n"
}

/// A power of ten, for people.
fn at_label(tick: f64) -> String {
    match tick {
        1e6.. => format!("{} M", tick / 1e6),
        1e3.. => format!("{} k", tick / 1e3),
        _ => format!("{tick}"),
    }
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    writeln!(
        svg,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#ddd\"/>"
    )
    .unwrap();
}

fn text(svg: &mut String, at: (f64, f64), anchor: &str, text: &str) {
    let (x, y) = at;
    writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>"
    )
    .unwrap();
}
