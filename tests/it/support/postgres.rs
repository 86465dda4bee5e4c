//! A PostgreSQL that the tests start: one for all of them, in a temporary folder, reached by a socket in it.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use cidery::{Cid, PostgresOptions, PostgresStore};

use super::binary::tool;

/// Starts a server, and stops it once standard input ends: when the process of the tests does, in whatever way. `$1`:
/// the folder of its programs, `$2`: the folder that it may use. PostgreSQL refuses to run as root.
const SERVER: &str = r#"
set -eu
bin=$1 dir=$2
run() {
  if [ "$(id -u)" = 0 ]; then setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; else "$@"; fi
}
finish() { rm -rf "$dir"; }
trap finish EXIT
mkdir -p "$dir"
chmod 755 "$dir"
if [ "$(id -u)" = 0 ]; then chown postgres "$dir"; fi
cd "$dir"
run "$bin/initdb" -D "$dir/data" -A trust -U cidery -E UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1
run "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c port=5432 -c max_connections=300 \
  -c shared_buffers=32MB -c max_wal_size=256MB >"$dir/log" 2>&1 &
for _ in $(seq 600); do
  if run "$bin/pg_isready" -q -h "$dir" -p 5432; then break; fi
  sleep 0.1
done
echo ready
read -r _ || true
run "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null
wait
"#;

/// The server of all tests of this process.
static SERVER_OF_TESTS: LazyLock<Option<Server>> = LazyLock::new(Server::start);

/// A running server. It is never dropped: it ends with the process.
pub(crate) struct Server {
    folder: PathBuf,
    _script: Mutex<Child>,
}

/// The server, if PostgreSQL is installed.
pub(crate) fn server() -> Option<&'static Server> {
    SERVER_OF_TESTS.as_ref()
}

impl Server {
    fn start() -> Option<Self> {
        let programs = tool("CIDERY_POSTGRES", "the store of several nodes")?;
        // Short: the path of a socket has at most 107 bytes.
        let folder = std::env::temp_dir().join(format!("cidery-pg-{}", std::process::id()));
        let mut script = Command::new("sh")
            .args(["-c", SERVER, "postgres", &programs])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = script.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "PostgreSQL does not start");
        Some(Self {
            folder,
            _script: Mutex::new(script),
        })
    }

    /// The URL of its database.
    pub(crate) fn url(&self) -> String {
        let folder = self.folder.to_str().unwrap().replace('/', "%2F");
        format!("postgres://cidery@{folder}:5432/postgres")
    }

    /// The options of a store in a schema of its own, with a small limit.
    pub(crate) fn options(&self) -> PostgresOptions {
        let mut options = PostgresOptions::parse(&self.url()).unwrap();
        options.schema = format!("s{}", Cid::new().to_string().replace('-', ""));
        options.bytes_limit = 256 * 1024;
        options
    }

    /// A store in a schema of its own.
    pub(crate) async fn store(&self) -> PostgresStore {
        PostgresStore::open_with(self.options()).await.unwrap()
    }

    /// The options of several nodes of one store, which are taken for dead soon.
    pub(crate) fn options_of_nodes(&self) -> PostgresOptions {
        let mut options = self.options();
        options.session_timeout = Duration::from_secs(1);
        options
    }
}
