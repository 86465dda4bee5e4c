//! The certificate with which a node serves TLS.

use jiff::Timestamp;

/// The certificate with which a node serves TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeCertificate {
    /// The host names and IP addresses that it is for, at most 100.
    pub names: Vec<String>,
    /// When it expires.
    pub expire_time: Timestamp,
}
