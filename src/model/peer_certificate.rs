//! What a verified client certificate says of its owner, for those who decide what the owner may do.

/// The names in the verified certificate of a client (mutual TLS).
///
/// The node has checked, in the handshake, that a CA which it was given issued the certificate for client
/// authentication, that it is valid now, and that the peer has its private key. What a name means is not decided here.
/// A name that is not text, and the kinds of names that are not listed, are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerCertificate {
    /// URIs of the subject alternative names, such as a SPIFFE ID: `spiffe://example.org/billing`.
    pub uris: Vec<String>,
    /// DNS names of the subject alternative names. `*.example.org` stands as it is.
    pub dns_names: Vec<String>,
    /// Email addresses of the subject alternative names.
    pub emails: Vec<String>,
    /// The common name of the subject, where it has exactly one. CAs check it less strictly than the other names.
    pub common_name: Option<String>,
    /// The subject as text, such as `CN=billing, O=Example`: for people.
    pub subject: String,
    /// The serial number in hex, without separators: for logs.
    pub serial: String,
    /// The SHA-256 of the certificate in hex: it identifies exactly this one.
    pub fingerprint: String,
}
