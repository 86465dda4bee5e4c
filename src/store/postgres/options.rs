//! The options of the store of several nodes.

use std::fmt;
use std::time::Duration;

use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::model::error::{Error, Result, reason};

/// How many bytes the store holds by default: 1 TiB.
const DEFAULT_BYTES_LIMIT: u64 = 1 << 40;
/// How long a node may be silent by default.
const DEFAULT_SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// After so long without an acknowledgement a connection is lost: a dead server must not hold callers for minutes.
const TCP_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a connection on which nothing is sent is tried.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// How often in vain, before it is lost.
const KEEPALIVE_RETRIES: u32 = 3;
/// The longest name that PostgreSQL keeps whole.
const MAX_SCHEMA_BYTES: usize = 63;

/// The options of a [`PostgresStore`](super::PostgresStore).
#[derive(Clone)]
pub struct PostgresOptions {
    pub(super) config: tokio_postgres::Config,
    /// The schema that has the tables. Nodes with the same database and schema share a store. Default: `cidery`.
    pub schema: String,
    /// How many bytes of requests and events the store holds. New work is refused once seven eighths are full; the
    /// outcomes of accepted work are stored all the same. Default: 1 TiB.
    pub bytes_limit: u64,
    /// How long the others wait for a sign of life of a node, before what it runs is released. Default: 10 s.
    pub session_timeout: Duration,
}

impl PostgresOptions {
    /// Reads a URL: `postgres://user@host:5432/database`. Its password, if it has one, is never shown.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `CONFIG_INVALID`, without the URL.
    pub fn parse(url: &str) -> Result<Self> {
        let mut config: tokio_postgres::Config = url.parse().map_err(|_| {
            // The URL may have a password: neither it nor a part of it may reach a log.
            let message = "the store is no URL of the form `postgres://user@host:5432/database?sslmode=require` \
                (`sslmode`: `disable`, `prefer` or `require`)";
            Error::invalid_argument(reason::CONFIG_INVALID, message)
        })?;
        config
            .tcp_user_timeout(TCP_TIMEOUT)
            // A host that is gone, where nothing waits to be sent.
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(KEEPALIVE_RETRIES)
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .application_name("cidery");
        Ok(Self {
            config,
            schema: "cidery".to_owned(),
            bytes_limit: DEFAULT_BYTES_LIMIT,
            session_timeout: DEFAULT_SESSION_TIMEOUT,
        })
    }

    /// Whether the URL has a password.
    #[must_use]
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }

    /// Sets the password, in place of one in the URL.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.config.password(password);
        self
    }

    /// How many bytes may be used before new work is refused: the rest is reserved for outcomes.
    pub(super) fn accept_limit(&self) -> u64 {
        self.bytes_limit - self.bytes_limit / 8
    }

    /// Whether the connections must be encrypted.
    pub(super) fn requires_tls(&self) -> bool {
        self.config.get_ssl_mode() == SslMode::Require
    }

    /// The schema as an identifier of SQL.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `CONFIG_INVALID`.
    pub(super) fn quoted_schema(&self) -> Result<String> {
        let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let schema = &self.schema;
        if (1..=MAX_SCHEMA_BYTES).contains(&schema.len()) && schema.chars().all(is_allowed) {
            return Ok(format!("\"{schema}\""));
        }
        let message = "the schema of the store is not made of lower-case letters, digits and `_`";
        Err(Error::invalid_argument(reason::CONFIG_INVALID, message))
    }

    /// Where the database is, for messages: without user and password.
    pub(super) fn place(&self) -> String {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let database = self.config.get_dbname().unwrap_or_default();
        format!("{host}:{port}/{database}")
    }
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("place", &self.place())
            .field("schema", &self.schema)
            .field("bytes_limit", &self.bytes_limit)
            .field("session_timeout", &self.session_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let options =
            PostgresOptions::parse("postgres://anna:s3cret@db.example:5433/jobs").unwrap();
        assert_eq!(options.place(), "db.example:5433/jobs");
        assert!(!format!("{options:?}").contains("s3cret"));
        let options = PostgresOptions::parse("postgres://db.example/jobs").unwrap();
        let options = options.with_password("s3cret");
        assert!(!format!("{options:?}").contains("s3cret"));
        let error = PostgresOptions::parse("postgres://anna:s3cret@db:port/jobs").unwrap_err();
        assert_eq!(error.reason(), "CONFIG_INVALID");
        assert!(!error.message().contains("s3cret"), "{error}");
    }

    #[test]
    fn a_schema_is_an_identifier() {
        let mut options = PostgresOptions::parse("postgres://db.example/jobs").unwrap();
        for (schema, is_valid) in [("cidery", true), ("a\"b", false), ("", false), ("A", false)] {
            schema.clone_into(&mut options.schema);
            assert_eq!(options.quoted_schema().is_ok(), is_valid, "{schema}");
        }
    }
}
