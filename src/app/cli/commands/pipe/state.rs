//! The file of `--state`: how far the output of a pipe is written. It is replaced as a whole, after what it says of the
//! other files is on disk.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::args::Pipe;
use super::input::Chain;
use super::plan::Plan;
use crate::app::cli::args::usage_error;
use crate::model::error::{Error, Result};
use crate::model::id::Cid;

/// The version of the format.
const VERSION: u32 = 1;
/// The largest file.
const MAX_BYTES: u64 = 1 << 20;

/// How far a pipe is.
#[derive(Debug)]
pub(super) struct State {
    file: Option<PathBuf>,
    is_new: bool,
    content: Content,
    chain: Chain,
    /// The first row that failed, if it failed in this process.
    first_failure: Option<(u64, String)>,
}

/// What the file has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    /// The identifier of the pipe: the idempotency keys of its rows are made of it.
    pipe: String,
    service: String,
    format: String,
    columns: Vec<String>,
    /// The files that the pipe has begun: it cuts no others.
    out: Option<PathBuf>,
    failed_file: Option<PathBuf>,
    /// The number of rows that are written, failed ones included.
    rows: u64,
    /// The digest of these rows.
    digest: String,
    failed: u64,
    out_bytes: u64,
    failed_bytes: u64,
    is_complete: bool,
}

impl State {
    /// The state of a pipe: what the file says, or that of one that begins.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` where the file cannot be read, or is about another pipe.
    pub(super) fn open(pipe: &Pipe, plan: &Plan, origin: Chain) -> Result<Self> {
        let begun = Content {
            version: VERSION,
            pipe: Cid::new().to_string(),
            service: pipe.name.clone(),
            format: pipe.format.name().to_owned(),
            columns: plan.output_columns().to_vec(),
            out: absolute(pipe.out.as_deref())?,
            failed_file: absolute(pipe.failed.as_deref())?,
            rows: 0,
            digest: URL_SAFE_NO_PAD.encode(origin),
            failed: 0,
            out_bytes: 0,
            failed_bytes: 0,
            is_complete: false,
        };
        let read = pipe.state.as_deref().map(read).transpose()?.flatten();
        let is_new = read.is_none();
        let content = read.unwrap_or_else(|| begun.clone());
        let file = pipe.state.clone();
        let named = file.clone().unwrap_or_default();
        let wrong = |what: &str| {
            let message = format!("`{}` {what}; remove it to begin again", named.display());
            usage_error(message)
        };
        if !content.is_of_same_pipe(&begun) {
            return Err(wrong(
                "is about a pipe with another service, format, output or files",
            ));
        }
        let chain = decoded(&content.digest).ok_or_else(|| wrong("is damaged"))?;
        Ok(Self {
            file,
            is_new,
            content,
            chain,
            first_failure: None,
        })
    }

    /// Whether there is a file.
    pub(super) fn is_kept(&self) -> bool {
        self.file.is_some()
    }

    /// Whether nothing was written before.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) fn is_complete(&self) -> bool {
        self.content.is_complete
    }

    pub(super) fn pipe(&self) -> &str {
        &self.content.pipe
    }

    /// The number of rows that are written.
    pub(super) fn rows(&self) -> u64 {
        self.content.rows
    }

    /// The digest of the rows that are written.
    pub(super) fn chain(&self) -> Chain {
        self.chain
    }

    pub(super) fn failed(&self) -> u64 {
        self.content.failed
    }

    pub(super) fn first_failure(&self) -> Option<(u64, &str)> {
        let (row, failure) = self.first_failure.as_ref()?;
        Some((*row, failure))
    }

    /// How long the output and the file of failed rows are.
    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.content.out_bytes, self.content.failed_bytes)
    }

    /// A row is written.
    pub(super) fn advance(&mut self, chain: Chain) {
        self.content.rows += 1;
        self.chain = chain;
    }

    /// A row has failed.
    pub(super) fn fail(&mut self, row: u64, error: &Error) {
        self.content.failed += 1;
        self.first_failure
            .get_or_insert_with(|| (row, format!("{error} ({})", error.reason())));
    }

    /// Replaces the file, once the other files are as long as this on disk.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` with the error of the system.
    pub(super) fn save(&mut self, bytes: (u64, u64), is_complete: bool) -> Result<()> {
        (self.content.out_bytes, self.content.failed_bytes) = bytes;
        self.content.is_complete = is_complete;
        self.content.digest = URL_SAFE_NO_PAD.encode(self.chain);
        let Some(file) = &self.file else {
            return Ok(());
        };
        write(file, &self.content).map_err(|error| cannot_write(file, &error))
    }
}

impl Content {
    /// Whether both are about the same service, input and output.
    fn is_of_same_pipe(&self, other: &Self) -> bool {
        self.version == other.version
            && self.service == other.service
            && self.format == other.format
            && self.columns == other.columns
            && self.out == other.out
            && self.failed_file == other.failed_file
    }
}

/// Files are the same from any folder.
fn absolute(path: Option<&Path>) -> Result<Option<PathBuf>> {
    let absolute = path.map(std::path::absolute).transpose();
    absolute.map_err(|error| usage_error(error.to_string()))
}

fn decoded(text: &str) -> Option<Chain> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

/// The content of the file; `None` where there is none.
fn read(file: &Path) -> Result<Option<Content>> {
    let name = file.display();
    let opened = match File::open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened,
    };
    let mut text = String::new();
    let read = opened.and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text));
    read.map_err(|error| usage_error(format!("cannot read `{name}`: {error}")))?;
    let content = serde_json::from_str(&text)
        .map_err(|error| usage_error(format!("`{name}` is not a file of `--state`: {error}")))?;
    Ok(Some(content))
}

fn write(file: &Path, content: &Content) -> io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    let new = PathBuf::from(name);
    let mut text = serde_json::to_vec(content)?;
    text.push(b'\n');
    let mut written = File::create(&new)?;
    written.write_all(&text)?;
    written.sync_all()?;
    std::fs::rename(&new, file)
}

/// The error of a file that cannot be written.
pub(super) fn cannot_write(file: &Path, error: &io::Error) -> Error {
    let message = format!("cannot write `{}`: {error}", file.display());
    usage_error(message)
}
