//! The supervisor of the process, such as systemd: it is told when the node serves, reloads and stops, and that it is
//! alive (`sd_notify(3)`).
//!
//! It is told over the datagram socket that `NOTIFY_SOCKET` names. Without that variable nothing is sent.

use std::convert::Infallible;
use std::time::Duration;

use crate::engine::store::Store;
use crate::model::id::Cid;

/// How often a supervisor hears of the node: a shorter interval would be a busy loop, a longer one no watchdog.
const INTERVALS: [Duration; 2] = [Duration::from_millis(1), Duration::from_hours(24)];

/// The supervisor of this process, if there is one.
#[derive(Debug)]
pub(in crate::app) struct Supervisor {
    #[cfg(unix)]
    socket: Option<socket::Socket>,
    /// How often it wants to hear that the node is alive.
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// The supervisor that the environment names.
    pub(in crate::app) fn of_process() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let number = |name: &str| variable(name)?.parse::<u64>().ok();
        // The watchdog of another process is none of ours.
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|micros| is_ours && *micros > 0);
        Self {
            #[cfg(unix)]
            socket: std::env::var_os("NOTIFY_SOCKET").and_then(|path| socket::Socket::open(&path)),
            watchdog: watchdog.map(Duration::from_micros),
        }
    }

    /// The node serves, or has reloaded its configuration.
    pub(in crate::app) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}"));
    }

    /// The node reads its configuration again; [`ready`](Self::ready) follows.
    pub(in crate::app) fn reloading(&self) {
        #[cfg(target_os = "linux")]
        {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
            self.send(&format!(
                "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reloading the configuration"
            ));
        }
    }

    /// The node stops.
    pub(in crate::app) fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={status}"));
    }

    /// Tells the supervisor that the node is alive, twice in each interval of its watchdog, as long as this is polled
    /// and the store answers: it takes writes, and a read ends within half of the interval. Otherwise the supervisor
    /// restarts the process. Never returns.
    pub(in crate::app) async fn feed_watchdog(&self, store: &dyn Store) -> Infallible {
        let Some(watchdog) = self.watchdog else {
            return std::future::pending().await;
        };
        let [shortest, longest] = INTERVALS;
        let interval = (watchdog / 2).clamp(shortest, longest);
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // Whether an invocation with this CID exists does not matter.
            let read = tokio::time::timeout(interval, store.get(Cid::new())).await;
            match (read, store.health()) {
                (Ok(_), Ok(())) => self.send("WATCHDOG=1"),
                (Err(_), _) => tracing::error!("the store does not answer: the watchdog waits"),
                (_, Err(error)) => {
                    tracing::error!(%error, "the store has failed: the watchdog waits")
                }
            }
        }
    }

    #[cfg(unix)]
    fn send(&self, state: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(state)
        {
            tracing::warn!(%error, "cannot notify the supervisor");
        }
    }

    #[cfg(not(unix))]
    #[expect(clippy::unused_self, reason = "there is no such supervisor here")]
    fn send(&self, _: &str) {}
}

#[cfg(unix)]
mod socket {
    use std::ffi::OsStr;
    use std::io;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    /// A socket that never blocks, and the address of the supervisor.
    #[derive(Debug)]
    pub(super) struct Socket {
        socket: UnixDatagram,
        supervisor: SocketAddr,
    }

    impl Socket {
        /// Opens the socket to an address in the file system, or, with `@` in front, in the abstract namespace of
        /// Linux.
        pub(super) fn open(address: &OsStr) -> Option<Self> {
            let opened = supervisor(address).and_then(|supervisor| {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                Ok(Self { socket, supervisor })
            });
            opened
                .inspect_err(|error| tracing::warn!(%error, "cannot notify the supervisor"))
                .ok()
        }

        pub(super) fn send(&self, state: &str) -> io::Result<()> {
            let sent = self.socket.send_to_addr(state.as_bytes(), &self.supervisor);
            sent.map(drop)
        }
    }

    fn supervisor(address: &OsStr) -> io::Result<SocketAddr> {
        match address.as_bytes() {
            [b'/', ..] => SocketAddr::from_pathname(address),
            #[cfg(target_os = "linux")]
            [b'@', name @ ..] => {
                use std::os::linux::net::SocketAddrExt as _;
                SocketAddr::from_abstract_name(name)
            }
            _ => Err(io::Error::other(
                "the address in NOTIFY_SOCKET is not supported",
            )),
        }
    }
}
