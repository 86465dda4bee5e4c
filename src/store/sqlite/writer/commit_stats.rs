//! Measures commits, to limit the rows of one service per commit.

use std::time::Duration;

use super::round_robin::MAX_COMMIT_ROWS;

/// The least number of rows of one service in a commit while other services write as well.
pub(in crate::store::sqlite) const MIN_SHARE: usize = 16;
/// The weight of the last commit in the moving averages.
const SMOOTHING: f64 = 0.1;

/// Moving averages over commits.
///
/// A command that arrives during a commit waits for its end. While several services write, each has as many rows of a
/// commit as are written in the time of one sync: fewer would waste syncs, more would delay the other services.
#[derive(Debug, Default)]
pub(in crate::store::sqlite) struct CommitStats {
    /// Seconds to write a row.
    row: f64,
    /// Seconds to sync.
    sync: f64,
}

impl CommitStats {
    /// Adds a commit of so many rows.
    pub(in crate::store::sqlite) fn add(
        &mut self,
        rows: usize,
        writing: Duration,
        syncing: Duration,
    ) {
        let Ok(rows @ 1..) = u32::try_from(rows) else {
            return;
        };
        let row = writing.as_secs_f64() / f64::from(rows);
        let sync = syncing.as_secs_f64();
        let average = |before: f64, now: f64| match before > 0.0 {
            true => before + (now - before) * SMOOTHING,
            false => now,
        };
        (self.row, self.sync) = (average(self.row, row), average(self.sync, sync));
    }

    /// How many rows of one service are in a commit while other services write as well.
    pub(in crate::store::sqlite) fn share(&self) -> usize {
        if self.row <= 0.0 {
            return MIN_SHARE;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "neither is negative, and the cast saturates"
        )]
        let share = (self.sync / self.row) as usize;
        share.clamp(MIN_SHARE, MAX_COMMIT_ROWS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_what_is_written_during_one_sync() {
        let (mut stats, row) = (CommitStats::default(), Duration::from_micros(10));
        assert_eq!(stats.share(), MIN_SHARE);
        stats.add(100, row * 100, Duration::from_millis(1));
        assert_eq!(stats.share(), 100);
        for _ in 0..100 {
            stats.add(100, row * 100, Duration::from_millis(50));
        }
        assert_eq!(
            stats.share(),
            MAX_COMMIT_ROWS,
            "a slow disk syncs many rows at once"
        );
        for _ in 0..100 {
            stats.add(100, row * 100, Duration::from_micros(50));
        }
        assert_eq!(stats.share(), MIN_SHARE, "a fast disk syncs often");
    }
}
