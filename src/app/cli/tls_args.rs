//! Options of TLS: of a node that serves, and of the commands that connect to one.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::app::NodeBuilder;
use crate::edge::tls::ServerTls;
use crate::remote::ClientTls;

/// Whether clients need a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum ClientAuth {
    /// Each client needs one.
    #[default]
    Required,
    /// Clients without one are accepted, too.
    Optional,
}

/// TLS of a node.
#[derive(Args, Clone, Debug)]
pub(super) struct ServerTlsArgs {
    /// Certificate of the node in PEM, followed by the intermediate ones: serve TLS only. Files that are replaced are
    /// read within seconds, or at once on SIGHUP. `cidery cert dev` makes some to try it out.
    #[arg(
        long,
        env = "CIDERY_TLS_CERT",
        requires = "tls_key",
        value_name = "FILE"
    )]
    tls_cert: Option<PathBuf>,
    /// Private key of the certificate in PEM.
    #[arg(
        long,
        env = "CIDERY_TLS_KEY",
        requires = "tls_cert",
        value_name = "FILE"
    )]
    tls_key: Option<PathBuf>,
    /// CA certificates in PEM: each client needs a certificate from one of them.
    #[arg(
        long,
        env = "CIDERY_TLS_CLIENT_CA",
        requires = "tls_cert",
        value_name = "FILE"
    )]
    tls_client_ca: Option<PathBuf>,
    /// Whether clients need a certificate.
    #[arg(
        long,
        env = "CIDERY_TLS_CLIENT_AUTH",
        requires = "tls_client_ca",
        value_enum,
        default_value_t,
        value_name = "WHEN"
    )]
    tls_client_auth: ClientAuth,
}

impl ServerTlsArgs {
    /// Whether the node serves TLS.
    pub(super) fn is_on(&self) -> bool {
        self.tls_cert.is_some()
    }

    /// Adds TLS to a node, where it is asked for.
    pub(super) fn add_to(&self, builder: NodeBuilder) -> NodeBuilder {
        let (Some(certificate), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return builder;
        };
        let mut tls = ServerTls::files(certificate, key);
        if let Some(ca) = &self.tls_client_ca {
            tls = tls.client_ca_file(ca);
        }
        if self.tls_client_auth == ClientAuth::Optional {
            tls = tls.client_certificate_optional();
        }
        builder.tls(tls)
    }
}

/// TLS of a command that connects to a node. `cidery --help` shows these options; elsewhere that of the node names
/// them.
#[derive(Args, Clone, Debug)]
pub(super) struct ClientTlsArgs {
    /// CA certificate of a node at `https://`, in PEM. Default: the CAs of the system.
    #[arg(
        long,
        global = true,
        hide = true,
        env = "CIDERY_CA",
        value_name = "FILE"
    )]
    ca: Option<PathBuf>,
    /// Client certificate for a node that requires one, in PEM.
    #[arg(
        long,
        global = true,
        hide = true,
        env = "CIDERY_CERT",
        requires = "key",
        value_name = "FILE"
    )]
    cert: Option<PathBuf>,
    /// Private key of the client certificate in PEM.
    #[arg(
        long,
        global = true,
        hide = true,
        env = "CIDERY_KEY",
        requires = "cert",
        value_name = "FILE"
    )]
    key: Option<PathBuf>,
}

impl ClientTlsArgs {
    /// The names of the options.
    pub(super) const NAMES: [&str; 3] = ["ca", "cert", "key"];

    /// What they say; `None` where none is given.
    pub(super) fn tls(&self) -> Option<ClientTls> {
        let mut tls = self.ca.as_ref().map(|ca| ClientTls::new().ca_file(ca));
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            tls = Some(tls.unwrap_or_default().certificate_files(cert, key));
        }
        tls
    }
}
