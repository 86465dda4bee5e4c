//! What Linux tells of this process, by the names that Prometheus gives it. Elsewhere: nothing.

use std::fs;

/// How many ticks a second has in `/proc`, on every architecture.
const TICKS: f64 = 100.0;
/// How many open files are counted, at most.
const MAX_FILES: usize = 1_000_000;

/// What is known of this process.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ProcessStats {
    pub(super) cpu_seconds: Option<f64>,
    /// Since 1970.
    pub(super) start_seconds: Option<f64>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) virtual_bytes: Option<u64>,
    pub(super) threads: Option<u64>,
    pub(super) open_files: Option<usize>,
    pub(super) max_files: Option<u64>,
}

impl ProcessStats {
    /// Reads `/proc/self`: a few microseconds.
    pub(super) fn read() -> Self {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let files = fs::read_dir("/proc/self/fd").ok();
        Self {
            // The one that lists them aside.
            open_files: files.map(|files| files.take(MAX_FILES).count().saturating_sub(1)),
            ..Self::parse(
                &text("/proc/self/stat"),
                &text("/proc/self/status"),
                &text("/proc/self/limits"),
                &text("/proc/stat"),
            )
        }
    }

    fn parse(stat: &str, status: &str, limits: &str, system: &str) -> Self {
        // The name of the program, in parentheses, may contain anything.
        let fields: Vec<&str> = match stat.rsplit_once(')') {
            Some((_, fields)) => fields.split_whitespace().collect(),
            None => Vec::new(),
        };
        // Numbered as in proc(5), from the third one on.
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let (user, kernel, start) = (field(14), field(15), field(22));
        let boot = first_number(system, "btime");
        #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
        let boot = boot.map(|boot| boot as f64);
        let kilobytes = |name| first_number(status, name).map(|kilobytes| kilobytes * 1_024);
        Self {
            cpu_seconds: user
                .zip(kernel)
                .map(|(user, kernel)| (user + kernel) / TICKS),
            start_seconds: boot.zip(start).map(|(boot, start)| boot + start / TICKS),
            resident_bytes: kilobytes("VmRSS:"),
            virtual_bytes: kilobytes("VmSize:"),
            threads: first_number(status, "Threads:"),
            open_files: None,
            max_files: first_number(limits, "Max open files"),
        }
    }
}

/// The first number after a name at the beginning of a line.
fn first_number(text: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines();
    let rest = lines.find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_linux_are_understood() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 9 0 2500 1 1 1\n";
        let status = "Name:\tcidery\nVmSize:\t  2048 kB\nVmRSS:\t  1024 kB\nThreads:\t9\n";
        let limits = "Limit Soft Hard\nMax open files            1024                 4096 files\n";
        let stats = ProcessStats::parse(stat, status, limits, "cpu 1 2\nbtime 1700000000\n");
        let expected = ProcessStats {
            cpu_seconds: Some(2.0),
            start_seconds: Some(1_700_000_025.0),
            resident_bytes: Some(1 << 20),
            virtual_bytes: Some(2 << 20),
            threads: Some(9),
            open_files: None,
            max_files: Some(1_024),
        };
        assert_eq!(stats, expected);
        assert_eq!(ProcessStats::parse("", "", "", ""), ProcessStats::default());
    }
}
