//! Options of TLS of the commands that connect to a node.

use std::path::PathBuf;

use clap::Args;

use crate::remote::ClientTls;

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
