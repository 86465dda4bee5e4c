//! How many files the process may have open: each connection is one. `cidery serve` raises the limit as far as the
//! system lets it, and takes no more connections than fit.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::engine::Limits;

/// How many files a node has open besides its connections, at most: the store and its readers, copies of it, logs, and
/// connections to a collector. Of a low limit it is half.
const RESERVED: u64 = 128;

/// Raises the soft limit of open files to the hard one: the soft one is for programs that use `select`. Returns what
/// holds then; `None` for no limit.
pub(super) fn raise() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        // A supervisor has set both, and may forbid the call.
        return current;
    }
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::debug!(%error, "cannot raise the limit of open files");
            current
        }
    }
}

/// Lowers the limits of connections to what fits into a limit of open files, with a warning where that changes them: a
/// connection that cannot be accepted would keep all others waiting.
pub(super) fn fit(limits: &mut Limits, open_files: Option<u64>) {
    let Some(open_files) = open_files else { return };
    let connections = connections_within(open_files);
    if connections >= limits.connections {
        return;
    }
    // One address must not have all of them.
    let per_address = limits.connections_per_address.min(connections.div_ceil(4));
    tracing::warn!(
        open_files,
        configured = limits.connections,
        connections,
        connections_per_address = per_address,
        "fewer connections than configured: raise the limit of open files (`ulimit -n`, `LimitNOFILE=`)"
    );
    limits.connections = connections;
    limits.connections_per_address = per_address;
}

/// How many connections fit into a limit of open files.
fn connections_within(open_files: u64) -> usize {
    let connections = open_files - RESERVED.min(open_files / 2);
    usize::try_from(connections).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_the_rest() {
        assert_eq!(connections_within(1_024), 896);
        assert_eq!(connections_within(200), 100);
        assert_eq!(connections_within(0), 1);
        let mut limits = Limits::default();
        fit(&mut limits, Some(65_536));
        fit(&mut limits, None);
        assert_eq!(
            (limits.connections, limits.connections_per_address),
            (10_000, 2_500)
        );
        fit(&mut limits, Some(1_024));
        assert_eq!(
            (limits.connections, limits.connections_per_address),
            (896, 224)
        );
    }
}
