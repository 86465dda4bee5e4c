//! Network file systems, where the locks and syncs of SQLite are not reliable.

use std::path::Path;

/// Warns of network file systems: SQLite's locks and syncs are not reliable there.
pub(super) fn warn_if_network(path: &Path) {
    #[cfg(target_os = "linux")]
    if let Ok(found) = rustix::fs::statfs(path)
        && let Some(kind) = network_file_system(found.f_type)
    {
        tracing::warn!(
            directory = %path.display(),
            kind,
            "the store is on a network file system: accepted invocations may be lost if the connection breaks"
        );
    }
}

/// The network file system with this magic number, see statfs(2); `None` if it is local, or may be.
#[cfg(target_os = "linux")]
fn network_file_system(magic: i64) -> Option<&'static str> {
    // An unsigned number of 32 bits in the kernel; some architectures sign-extend it.
    Some(match magic & 0xffff_ffff {
        0x6969 => "NFS",
        0x517b | 0xfe53_4d42 => "SMB",
        0xff53_4d42 => "CIFS",
        0x00c3_6400 => "Ceph",
        0x0102_1997 => "9p",
        0x5346_414f | 0x6b41_4653 => "AFS",
        0x0bd0_0bd0 => "Lustre",
        _ => return None,
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::network_file_system;

    #[test]
    fn network_file_systems_are_recognized() {
        const EXT4: i64 = 0xef53;
        const TMPFS: i64 = 0x0102_1994;
        assert_eq!(network_file_system(0x6969), Some("NFS"));
        assert_eq!(
            network_file_system(0xff53_4d42_u32.cast_signed().into()),
            Some("CIFS")
        );
        assert_eq!(
            [network_file_system(EXT4), network_file_system(TMPFS)],
            [None, None]
        );
    }
}
