//! `cidery cert dev`: a CA for development, and certificates of a node and a client.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::authority::{Authority, CLIENT_URI, DAYS, Pair};
use crate::app::cli::printer::{Printer, Tone};
use crate::dict;
use crate::engine::clock::Clock;
use crate::model::error::{Error, Result, reason};

/// The names that the certificate of the node always has.
const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Make a CA, and certificates of a node and a client.
///
/// They are for trying out TLS, not for production: a reader of `ca-key.pem` can impersonate the node. They are valid
/// for a year. Existing files are never replaced.
#[derive(Args, Debug)]
pub(in crate::app::cli) struct Dev {
    /// Folder for the files (created if missing).
    #[arg(long, default_value = "./cidery-certs", value_name = "FOLDER")]
    dir: PathBuf,
    /// Host name or IP address of the node (repeatable), beside localhost and the loopback addresses.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
}

impl Dev {
    pub(super) fn run(self, printer: &Printer) -> Result<()> {
        let mut hosts: Vec<String> = LOCAL.map(str::to_owned).into();
        hosts.extend(self.hosts);
        let authority = Authority::new(Clock::System.now())?;
        let files = Files::new(&self.dir);
        files.write(
            &authority.own,
            &authority.node(&hosts)?,
            &authority.client()?,
        )?;
        let folder = self.dir.display().to_string();
        let object = || {
            dict! {
                "dir": folder.as_str(),
                "ca": files.ca.0.display().to_string(),
                "tls_cert": files.node.0.display().to_string(),
                "tls_key": files.node.1.display().to_string(),
                "cert": files.client.0.display().to_string(),
                "key": files.client.1.display().to_string(),
                "hosts": hosts.clone(),
                "client_uri": CLIENT_URI,
            }
            .into()
        };
        if printer.object(&folder, object) {
            return Ok(());
        }
        let hosts = hosts.join(", ");
        let text = format!("{folder} has certificates for {hosts}, valid for {DAYS} days");
        printer.note(Tone::Good, &text);
        for line in files.commands() {
            printer.note(Tone::Quiet, &line);
        }
        Ok(())
    }
}

/// Where the files are: certificates with their keys.
struct Files {
    folder: PathBuf,
    ca: (PathBuf, PathBuf),
    node: (PathBuf, PathBuf),
    client: (PathBuf, PathBuf),
}

impl Files {
    fn new(folder: &Path) -> Self {
        let pair = |name: &str| {
            let key = folder.join(format!("{name}-key.pem"));
            (folder.join(format!("{name}.pem")), key)
        };
        Self {
            folder: folder.to_owned(),
            ca: pair("ca"),
            node: pair("server"),
            client: pair("client"),
        }
    }

    /// Writes all of them, or none where one exists.
    ///
    /// # Errors
    ///
    /// `FAILED_PRECONDITION` / `FILE_EXISTS`; `INVALID_ARGUMENT` / `USAGE_INVALID` where the folder cannot be written.
    fn write(&self, ca: &Pair, node: &Pair, client: &Pair) -> Result<()> {
        let pairs = [(&self.ca, ca), (&self.node, node), (&self.client, client)];
        let paths = pairs.iter().flat_map(|((one, other), _)| [one, other]);
        let existing = paths.filter(|path| path.symlink_metadata().is_ok());
        let existing: Vec<String> = existing.map(|path| path.display().to_string()).collect();
        if !existing.is_empty() {
            return Err(exists(&existing.join(", ")));
        }
        let mut folder = DirBuilder::new();
        folder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        let made = folder.create(&self.folder);
        made.map_err(|error| unwritable(&self.folder, &error))?;
        for ((certificate, key), pair) in pairs {
            create(key, &pair.key, 0o600)?;
            create(certificate, &pair.certificate, 0o644)?;
        }
        Ok(())
    }

    /// How they are used.
    fn commands(&self) -> Vec<String> {
        let (ca, (cert, key)) = (self.ca.0.display(), &self.node);
        let (cert, key) = (cert.display(), key.display());
        let client = (self.client.0.display(), self.client.1.display());
        vec![
            format!("start a node:      cidery serve --tls-cert {cert} --tls-key {key}"),
            format!("call it:           cidery services --node https://localhost --ca {ca}"),
            format!("                   grpcurl -cacert {ca} localhost:24337 list"),
            "with client certificates, add".to_owned(),
            format!("  to the node:     --tls-client-ca {ca}"),
            format!("  to each command: --cert {} --key {}", client.0, client.1),
        ]
    }
}

/// Creates a file. Its mode is there before its content is.
fn create(path: &Path, content: &str, mode: u32) -> Result<()> {
    let mut options = OpenOptions::new();
    options.create_new(true).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let written = options
        .open(path)
        .and_then(|mut file: fs::File| file.write_all(content.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(&path.display().to_string()),
        _ => unwritable(path, &error),
    })
}

fn exists(paths: &str) -> Error {
    let message =
        format!("{paths}: exists already, and is not replaced: choose another folder with `--dir`");
    Error::failed_precondition(reason::FILE_EXISTS, message)
}

fn unwritable(path: &Path, error: &io::Error) -> Error {
    let message = format!("cannot write {}: {}", path.display(), error.kind());
    Error::invalid_argument(reason::USAGE_INVALID, message)
}
