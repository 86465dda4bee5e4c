//! TLS of the listener: certificates, handshakes, and certificates that are replaced while the node runs.

mod acceptor;
mod certificate;
mod clients;
#[cfg(test)]
mod fuzz_tests;
mod reload;
mod revocation;
mod server_tls;
mod socket;

pub use self::acceptor::TlsAcceptor;
pub(super) use self::clients::ClientCertificate;
pub use self::reload::TlsReload;
pub use self::server_tls::ServerTls;
pub(super) use self::socket::TlsSocket;
