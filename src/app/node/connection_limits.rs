//! The limits of connections, from those of the node.

use std::sync::Arc;

use crate::edge::PortMetrics;
use crate::edge::connection::NodeMemory;
use crate::edge::listener::{ConnectionAge, ConnectionLimits, Http2Limits, Timeouts};
use crate::engine::Limits;

/// The default and the largest flow-control window of HTTP/2 (RFC 9113, section 6.9.1). Connections cannot have less
/// than the default.
const MIN_WINDOW: u32 = 65_535;
const MAX_WINDOW: u32 = 0x7fff_ffff;

/// What connections may do and hold.
pub(super) fn connection_limits(limits: &Limits, metrics: Arc<PortMetrics>) -> ConnectionLimits {
    ConnectionLimits {
        max_connections: limits.connections,
        max_per_address: limits.connections_per_address,
        timeouts: Timeouts {
            ping: limits.ping_interval,
            first_byte: limits.first_byte_timeout,
            request: limits.request_timeout,
            unread: limits.unread_timeout,
            age: ConnectionAge {
                limit: limits.connection_age,
                grace: limits.connection_age_grace,
            },
        },
        http2: Http2Limits {
            streams: limits.streams.max(1),
            header_bytes: limits.header_bytes,
            stream_window: limits.stream_window.clamp(MIN_WINDOW, MAX_WINDOW),
            connection_window: limits.connection_window.clamp(MIN_WINDOW, MAX_WINDOW),
            control_frames: limits.control_frames,
            pending_resets: limits.pending_resets,
            error_resets: limits.error_resets,
        },
        memory: NodeMemory::new(limits),
        metrics,
    }
}
