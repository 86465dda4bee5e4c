//! A server process of another system, with a folder of its own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(60);

/// Killed when dropped, and its folder removed.
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
}

impl Server {
    /// A folder beside this program, so that it is on a disk and not in memory.
    pub(crate) fn folder() -> anyhow::Result<PathBuf> {
        let program = std::env::current_exe()?;
        let folder = program.with_file_name(format!("data-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Starts the program that a variable names, with its output in a file of the folder.
    pub(crate) fn start(
        variable: &str,
        folder: &Path,
        change: impl FnOnce(&mut Command),
    ) -> anyhow::Result<Self> {
        let program = std::env::var_os(variable)
            .with_context(|| format!("{variable} is not set: see scripts/tools"))?;
        let output = std::fs::File::create(folder.join("output"))?;
        let mut command = Command::new(program);
        command
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true);
        change(&mut command);
        Ok(Self {
            child: command.spawn()?,
            folder: folder.to_owned(),
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits until something listens on a port.
pub(crate) async fn listens(port: u16) -> anyhow::Result<()> {
    let connected = async {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, connected)
        .await
        .context("the server does not listen")
}
