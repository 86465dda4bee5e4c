//! The `cidery` command.

use std::process::ExitCode;

/// Larger blocks, in bytes, are mapped, and go back to the system as soon as they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MMAP_THRESHOLD: i32 = 1024 * 1024;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fix_mmap_threshold();
    cidery::app::cli::main()
}

/// Lets the allocator give large blocks back.
///
/// glibc raises its threshold (up to 32 MiB) whenever a mapped block is freed, so that later ones of that size come
/// from its heaps, which shrink only at their ends. After a few large messages a node would keep the memory of its
/// busiest moment. A threshold that is set stays. See mallopt(3).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
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
