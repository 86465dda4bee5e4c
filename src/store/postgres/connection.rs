//! Connections: how they are opened, and what is set on each.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{Failed, no_answer};
use super::options::PostgresOptions;
use crate::model::error::{Error, Result, reason};
use crate::service::runtime::Tasks;

/// How long it may take to connect, all in all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Parameters of a statement.
pub(super) type Params<'p> = &'p [&'p (dyn ToSql + Sync)];

/// The row of the own session or, once that is gone, one that all have.
const WRITE: &str = "WITH own AS (UPDATE session SET beat = beat + 1 WHERE id = $1 RETURNING id)
     UPDATE meta SET value = value WHERE key = 'format' AND NOT EXISTS (SELECT 1 FROM own)";

/// Opens connections, all in the same way.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) options: Arc<PostgresOptions>,
    /// In which the connections are driven.
    pub(super) tasks: Tasks,
}

impl Connector {
    /// Opens a connection.
    ///
    /// # Errors
    ///
    /// `UNAVAILABLE` / `STORE_FAILED`; `FAILED_PRECONDITION` / `STORE_UNUSABLE` without TLS.
    pub(super) async fn connect(&self) -> Result<Link, Failed> {
        // A database that is stopped accepts connections, and says nothing.
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, self.connect_now()).await;
        connected.map_err(|_| Failed::Own(no_answer()))?
    }

    async fn connect_now(&self) -> Result<Link, Failed> {
        let config = &self.options.config;
        let is_unsynced = Arc::new(AtomicBool::new(false));
        let client = if self.options.requires_tls() {
            let (client, connection) = config.connect(tls()?).await?;
            self.drive(connection, &is_unsynced);
            client
        } else {
            let (client, connection) = config.connect(NoTls).await?;
            self.drive(connection, &is_unsynced);
            client
        };
        let settings = format!(
            "SET search_path = {}; SET idle_in_transaction_session_timeout = '3s'; SET client_min_messages = warning;
             SELECT set_config('synchronous_commit', 'on', false)
             WHERE current_setting('synchronous_commit') IN ('off', 'local')",
            self.options.quoted_schema()?
        );
        client.batch_execute(&settings).await?;
        Ok(Link {
            client,
            statements: Mutex::default(),
            is_unsynced,
        })
    }

    fn drive<S, T>(&self, mut connection: Connection<S, T>, is_unsynced: &Arc<AtomicBool>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let is_unsynced = Arc::clone(is_unsynced);
        self.tasks.spawn("store connection", async move {
            while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
                match message {
                    Ok(AsyncMessage::Notice(notice)) if *notice.code() == SqlState::WARNING => {
                        // The wait for the standby was interrupted: what is committed is on one disk alone.
                        tracing::warn!(message = notice.message(), "the database warns");
                        is_unsynced.store(true, Ordering::Relaxed);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(%error, "a connection to the database was lost");
                        break;
                    }
                }
            }
        });
    }
}

/// What certificates the system trusts.
fn tls() -> Result<MakeRustlsConnect> {
    let refused = |message: String| Error::failed_precondition(reason::STORE_UNUSABLE, message);
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(format!("no TLS for the store: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}

/// A connection, with the statements that are prepared on it.
pub(super) struct Link {
    pub(super) client: Client,
    statements: Mutex<HashMap<&'static str, Statement>>,
    is_unsynced: Arc<AtomicBool>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// A statement, which is prepared once.
    pub(super) async fn prepared(&self, sql: &'static str) -> Result<Statement, Failed> {
        let known = self.lock().get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.lock().insert(sql, statement.clone());
        Ok(statement)
    }

    /// Reads with a prepared statement.
    pub(super) async fn query(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Failed> {
        let statement = self.prepared(sql).await?;
        Ok(self.client.query(&statement, params).await?)
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self) -> Result<Tx<'_>, Failed> {
        self.begin_with("BEGIN").await
    }

    /// Begins a transaction that reads, and sees one state of the tables: that of its first statement.
    pub(super) async fn begin_snapshot(&self) -> Result<Tx<'_>, Failed> {
        self.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            .await
    }

    async fn begin_with(&self, begin: &str) -> Result<Tx<'_>, Failed> {
        self.is_unsynced.store(false, Ordering::Relaxed);
        self.client.batch_execute(begin).await?;
        Ok(Tx { link: self })
    }

    /// Writes a row, and waits until it is durable: then so is all that was committed before. What is read on a new
    /// connection may have been committed by one that was lost while it waited for the standby.
    pub(super) async fn prove_durable(&self, session: i64) -> Result<(), Failed> {
        let tx = self.begin().await?;
        tx.execute(WRITE, &[&session]).await?;
        tx.commit().await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, Statement>> {
        self.statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transaction. One that is dropped is rolled back with what its connection does next ([`Lane`](super::lane)).
pub(super) struct Tx<'l> {
    pub(super) link: &'l Link,
}

impl Tx<'_> {
    /// Executes a prepared statement, and returns its rows.
    pub(super) async fn query(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<Vec<Row>, Failed> {
        self.link.query(sql, params).await
    }

    /// Executes a prepared statement, and returns how many rows it changed.
    pub(super) async fn execute(
        &self,
        sql: &'static str,
        params: Params<'_>,
    ) -> Result<u64, Failed> {
        let statement = self.link.prepared(sql).await?;
        Ok(self.link.client.execute(&statement, params).await?)
    }

    /// Commits. What was written is known from the rows that its statements returned, never from this answer: `COMMIT`
    /// of a transaction that failed succeeds, and rolls back.
    pub(super) async fn commit(self) -> Result<(), Failed> {
        self.link.client.batch_execute("COMMIT").await?;
        if self.link.is_unsynced.swap(false, Ordering::Relaxed) {
            return Err(Failed::Unsynced);
        }
        Ok(())
    }

    /// Rolls back.
    pub(super) async fn rollback(self) -> Result<(), Failed> {
        Ok(self.link.client.batch_execute("ROLLBACK").await?)
    }
}
