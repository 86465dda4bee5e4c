//! The allocator of the command, which is that of glibc: what it frees goes back to the system.

use std::time::Duration;

use rustix::param::page_size;
use rustix::time::{ClockId, clock_gettime};

/// Larger blocks, in bytes, are mapped, and go back to the system as soon as they are freed.
const MMAP_THRESHOLD: i32 = 1024 * 1024;
/// How often the process looks whether it is quiet.
const INTERVAL: Duration = Duration::from_secs(3);
/// In a quiet interval it used less CPU time: 5 % of one core.
const QUIET: Duration = Duration::from_millis(150);
/// Memory in bytes that is worth a trim: so much was taken since the last one.
const WORTH: usize = 8 * 1024 * 1024;

/// Sets it up. To be called before other threads run.
pub(crate) fn set_up() {
    fix_mmap_threshold();
    // It ends with the process. Without it, memory stays with the process.
    let _ = std::thread::Builder::new()
        .name("trim-memory".to_owned())
        .spawn(trim_when_quiet);
}

/// Lets the allocator give large blocks back.
///
/// glibc raises its threshold (up to 32 MiB) whenever a mapped block is freed, so that later ones of that size come
/// from its heaps, which shrink only at their ends. After a few large messages a node would keep the memory of its
/// busiest moment. A threshold that is set stays. See mallopt(3).
fn fix_mmap_threshold() {
    // The operator's own setting wins.
    if std::env::var_os("MALLOC_MMAP_THRESHOLD_").is_some() {
        return;
    }
    #[expect(
        unsafe_code,
        reason = "the allocator has no other interface within the process"
    )]
    // SAFETY: mallopt only stores a parameter, and no other thread runs yet. A value that it refuses changes nothing.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, MMAP_THRESHOLD);
    }
}

/// Gives free blocks back once the process is quiet after work.
///
/// Each thread has a heap of its own, which shrinks only at its end: a block that lives on keeps all that was freed
/// before it. Trimming holds the lock of each heap for milliseconds, so calls should not wait for it.
fn trim_when_quiet() {
    let mut trims = Trims::default();
    loop {
        #[expect(
            clippy::disallowed_methods,
            reason = "this thread is its own, and has nothing else to do"
        )]
        std::thread::sleep(INTERVAL);
        if trims.is_due(cpu_time(), anonymous_memory()) {
            #[expect(
                unsafe_code,
                reason = "the allocator has no other interface within the process"
            )]
            // SAFETY: malloc_trim takes the locks that it needs, and touches only blocks that are free.
            unsafe {
                libc::malloc_trim(0);
            }
            trims.trimmed(anonymous_memory());
        }
    }
}

/// When to trim.
#[derive(Debug, Default)]
struct Trims {
    /// CPU time at the end of the last interval.
    cpu: Duration,
    /// Memory after the last trim, in bytes, or the least since then.
    memory: usize,
}

impl Trims {
    /// Ends an interval. Returns whether it was quiet and a trim is worth its time.
    fn is_due(&mut self, cpu: Duration, memory: usize) -> bool {
        let used = cpu.saturating_sub(self.cpu);
        self.cpu = cpu;
        self.memory = self.memory.min(memory);
        used < QUIET && memory - self.memory >= WORTH
    }

    fn trimmed(&mut self, memory: usize) {
        self.memory = memory;
    }
}

/// The CPU time that the process has used.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// Resident memory in bytes, without the pages of files. 0 where the system does not say.
fn anonymous_memory() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mut pages = statm
        .split(' ')
        .skip(1)
        .map_while(|pages| pages.parse().ok());
    let (resident, shared): (Option<usize>, Option<usize>) = (pages.next(), pages.next());
    let anonymous = resident
        .unwrap_or_default()
        .saturating_sub(shared.unwrap_or_default());
    anonymous * page_size()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trim_is_due_in_a_quiet_interval_once_memory_was_taken() {
        let mut trims = Trims::default();
        let (work, nothing) = (Duration::from_secs(1), Duration::ZERO);
        assert!(!trims.is_due(work, 4 * WORTH), "it works");
        assert!(trims.is_due(work + nothing, 4 * WORTH));
        trims.trimmed(2 * WORTH);
        assert!(!trims.is_due(work, 3 * WORTH - 1), "not worth it");
        assert!(!trims.is_due(work, WORTH));
        assert!(
            trims.is_due(work, 2 * WORTH),
            "compared with the least since"
        );
    }

    #[test]
    fn the_system_says_what_the_process_uses() {
        let block = vec![1_u8; WORTH];
        assert!(anonymous_memory() > block.len());
        assert!(cpu_time() > Duration::ZERO);
    }
}
