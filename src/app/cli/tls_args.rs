//! Options of TLS of the commands that connect to a node.

use std::path::PathBuf;

use clap::Args;

use super::contexts::Context;
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

    /// What they say, and a context where they say nothing; `None` where neither does.
    pub(super) fn tls(&self, context: Option<&Context>) -> Option<ClientTls> {
        let ca = self.ca.as_ref().or_else(|| context?.ca.as_ref());
        let mut tls = ca.map(|ca| ClientTls::new().ca_file(ca));
        let pair = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((cert, key)),
            _ => context.and_then(|it| it.cert.as_ref().zip(it.key.as_ref())),
        };
        if let Some((cert, key)) = pair {
            tls = Some(tls.unwrap_or_default().certificate_files(cert, key));
        }
        tls
    }
}
