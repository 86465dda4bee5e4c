//! Certificates that are replaced while the node runs: their files are looked at every few seconds, and read again
//! where they have changed, or where an operator asks for it. As often, the connections of client certificates end that
//! have expired.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::acceptor::TlsAcceptor;
use crate::engine::Invoker;
use crate::model::error::{Error, Result, reason};
use crate::remote::protocol::tls::Stamp;

/// The name of the files in the health of the node.
const WHAT: &str = "certificates";
/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(5);

/// Reads the files of a node again.
#[derive(Clone, Debug)]
pub struct TlsReload {
    acceptor: Arc<TlsAcceptor>,
    invoker: Invoker,
    last: Arc<Mutex<Attempt>>,
}

/// The last time that the files were read.
#[derive(Debug)]
struct Attempt {
    stamps: Vec<Option<Stamp>>,
    /// Why they could not be used.
    failure: Option<String>,
}

impl TlsReload {
    pub(crate) fn new(acceptor: Arc<TlsAcceptor>, invoker: Invoker) -> Self {
        let last = Attempt {
            stamps: acceptor.files().stamps(),
            failure: None,
        };
        Self {
            acceptor,
            invoker,
            last: Arc::new(Mutex::new(last)),
        }
    }

    /// Reads the files now, changed or not.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `TLS_INVALID`: the node goes on with what it has.
    pub(crate) async fn reload(&self) -> Result<()> {
        let this = self.clone();
        let reloaded = self.invoker.tasks().compute(move || this.read(true)).await;
        reloaded.unwrap_or_else(|| {
            let message = "the certificates could not be read";
            Err(Error::internal(reason::TLS_INVALID, message))
        })
    }

    /// Looks at the files until the node stops.
    pub(crate) async fn watch(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.invoker.clock().pause(INTERVAL) => {}
            }
            self.acceptor.end_expired(self.invoker.now());
            let this = self.clone();
            // A failure is logged, and tried again.
            let _ = self.invoker.tasks().compute(move || this.read(false)).await;
        }
    }

    /// Reads the files where they have changed, or could not be used the last time: a new certificate may be there
    /// before its key. Logs what comes of it, a failure once.
    fn read(&self, always: bool) -> Result<()> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Before they are read: a change meanwhile is seen the next time.
        let stamps = self.acceptor.files().stamps();
        if !always && last.failure.is_none() && last.stamps == stamps {
            return Ok(());
        }
        let loaded = self.acceptor.reload(self.invoker.now());
        let failure = loaded
            .as_ref()
            .err()
            .map(|error| error.message().to_owned());
        match &loaded {
            Ok(certificate) => tracing::info!(
                names = certificate.names.join(", "),
                expires = %certificate.expire_time,
                "certificate read: new connections use it"
            ),
            Err(error) if always || last.failure != failure => {
                tracing::error!("the certificates cannot be used, and the old ones stay: {error}");
            }
            Err(_) => {}
        }
        self.invoker.note_reload(WHAT, failure.as_deref());
        *last = Attempt { stamps, failure };
        self.invoker.set_certificate(loaded?);
        Ok(())
    }
}
