//! TLS of clients and workers: what they trust, who they are, and what a failed handshake means. The node reads its
//! certificates with the same code.

mod client_tls;
mod connector;
mod failure;
mod pem;

pub use self::client_tls::ClientTls;
pub(in crate::remote) use self::connector::TlsConnector;
#[cfg(feature = "server")]
pub(crate) use self::pem::{Pem, PemFiles, Stamp, provider};
