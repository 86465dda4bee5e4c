//! The text formats of metrics: that of Prometheus, version 0.0.4, and `OpenMetrics` 1.0.

use std::fmt::{self, Write as _};

use crate::engine::metrics::HistogramSnapshot;

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    /// Only grows. Its samples end in `_total`.
    Counter,
    Gauge,
    Histogram,
    /// Tells by its labels alone, and ends in `_info`.
    Info,
}

/// A metric, with all its samples.
#[derive(Debug)]
pub(super) struct Family {
    /// Without the suffix of its type.
    pub(super) name: &'static str,
    pub(super) kind: Type,
    pub(super) labels: &'static [&'static str],
    pub(super) help: &'static str,
}

impl Family {
    const fn suffix(&self) -> &'static str {
        match self.kind {
            Type::Counter => "_total",
            Type::Info => "_info",
            Type::Gauge | Type::Histogram => "",
        }
    }

    /// The unit, which is the end of the name.
    fn unit(&self) -> Option<&'static str> {
        let units = ["seconds", "bytes"];
        units.into_iter().find(|unit| self.name.ends_with(unit))
    }
}

/// Writes metrics in a format.
#[derive(Debug)]
pub(super) struct TextWriter {
    format: Format,
    out: String,
}

impl TextWriter {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            out: String::with_capacity(16 * 1024),
        }
    }

    /// Begins a metric: its samples follow.
    pub(super) fn begin(&mut self, family: &'static Family) -> Samples<'_> {
        let Family { name, help, .. } = family;
        let (kind, suffix) = match (self.format, family.kind) {
            // Prometheus names the samples, OpenMetrics the metric.
            (Format::Prometheus, Type::Counter) => ("counter", family.suffix()),
            (Format::Prometheus, Type::Info) => ("gauge", family.suffix()),
            (Format::OpenMetrics, Type::Counter) => ("counter", ""),
            (Format::OpenMetrics, Type::Info) => ("info", ""),
            (_, Type::Gauge) => ("gauge", ""),
            (_, Type::Histogram) => ("histogram", ""),
        };
        self.line(format_args!("# HELP {name}{suffix} {help}"));
        self.line(format_args!("# TYPE {name}{suffix} {kind}"));
        if let (Format::OpenMetrics, Some(unit)) = (self.format, family.unit()) {
            self.line(format_args!("# UNIT {name}{suffix} {unit}"));
        }
        Samples {
            writer: self,
            family,
        }
    }

    /// The text.
    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.line(format_args!("# EOF"));
        }
        self.out
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        self.write(line);
        self.out.push('\n');
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.out.write_fmt(text);
    }
}

/// Writes the samples of a metric. Each has the values of its labels, in their order.
#[derive(Debug)]
pub(super) struct Samples<'a> {
    writer: &'a mut TextWriter,
    family: &'static Family,
}

impl Samples<'_> {
    /// A number.
    pub(super) fn count(&mut self, labels: &[&str], value: u64) {
        self.sample(self.family.suffix(), labels, None, format_args!("{value}"));
    }

    /// A number of things in memory.
    pub(super) fn size(&mut self, labels: &[&str], value: usize) {
        self.sample(self.family.suffix(), labels, None, format_args!("{value}"));
    }

    /// A number with a fraction. One that is not finite is left out.
    pub(super) fn value(&mut self, labels: &[&str], value: f64) {
        if value.is_finite() {
            self.sample(self.family.suffix(), labels, None, format_args!("{value}"));
        }
    }

    /// A condition: 1 or 0.
    pub(super) fn flag(&mut self, labels: &[&str], value: bool) {
        self.count(labels, u64::from(value));
    }

    /// A histogram.
    pub(super) fn histogram(&mut self, labels: &[&str], histogram: &HistogramSnapshot) {
        let mut total = 0;
        for (count, bound) in histogram.counts.iter().zip(&histogram.bounds) {
            total += count;
            // As OpenMetrics writes it, so that a series has the same name in both formats.
            let bound = format!("{bound:?}");
            self.sample("_bucket", labels, Some(&bound), format_args!("{total}"));
        }
        let all = histogram.count();
        self.sample("_bucket", labels, Some("+Inf"), format_args!("{all}"));
        self.sample("_sum", labels, None, format_args!("{}", histogram.sum));
        self.sample("_count", labels, None, format_args!("{all}"));
    }

    fn sample(
        &mut self,
        suffix: &str,
        labels: &[&str],
        bound: Option<&str>,
        value: fmt::Arguments<'_>,
    ) {
        let writer = &mut *self.writer;
        writer.write(format_args!("{}{suffix}", self.family.name));
        let names = self.family.labels.iter().copied();
        let named = names.zip(labels.iter().copied());
        let mut before = '{';
        for (name, value) in named.chain(bound.map(|bound| ("le", bound))) {
            writer.write(format_args!("{before}{name}=\"{}\"", Escaped(value)));
            before = ',';
        }
        if before == ',' {
            writer.out.push('}');
        }
        writer.line(format_args!(" {value}"));
    }
}

/// The value of a label, which can come from outside.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static CALLS: Family = Family {
        name: "a_calls",
        kind: Type::Counter,
        labels: &["who"],
        help: "Calls.",
    };
    static TIME: Family = Family {
        name: "a_time_seconds",
        kind: Type::Histogram,
        labels: &[],
        help: "Time.",
    };
    static BUILD: Family = Family {
        name: "a_build",
        kind: Type::Info,
        labels: &["version"],
        help: "Build.",
    };

    fn written(format: Format) -> String {
        let mut writer = TextWriter::new(format);
        writer.begin(&CALLS).count(&["a\\\"b\nc"], 3);
        let histogram = HistogramSnapshot {
            bounds: vec![0.0001, 1.0],
            counts: vec![1, 0, 2],
            sum: 7.5,
        };
        writer.begin(&TIME).histogram(&[], &histogram);
        writer.begin(&BUILD).flag(&["1.0"], true);
        writer.finish()
    }

    #[test]
    fn the_format_of_prometheus() {
        let expected = r#"# HELP a_calls_total Calls.
# TYPE a_calls_total counter
a_calls_total{who="a\\\"b\nc"} 3
# HELP a_time_seconds Time.
# TYPE a_time_seconds histogram
a_time_seconds_bucket{le="0.0001"} 1
a_time_seconds_bucket{le="1.0"} 1
a_time_seconds_bucket{le="+Inf"} 3
a_time_seconds_sum 7.5
a_time_seconds_count 3
# HELP a_build_info Build.
# TYPE a_build_info gauge
a_build_info{version="1.0"} 1
"#;
        assert_eq!(written(Format::Prometheus), expected);
    }

    #[test]
    fn open_metrics_names_the_metric_and_its_unit_and_ends() {
        let text = written(Format::OpenMetrics);
        let comments: Vec<_> = text.lines().filter(|line| line.starts_with('#')).collect();
        assert_eq!(
            comments,
            [
                "# HELP a_calls Calls.",
                "# TYPE a_calls counter",
                "# HELP a_time_seconds Time.",
                "# TYPE a_time_seconds histogram",
                "# UNIT a_time_seconds seconds",
                "# HELP a_build Build.",
                "# TYPE a_build info",
                "# EOF",
            ]
        );
        assert!(text.contains("\na_calls_total{") && text.contains("\na_build_info{"));
    }
}
