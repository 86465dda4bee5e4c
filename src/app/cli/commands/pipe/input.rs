//! The rows of standard input, read on a thread of its own: it waits where too many are not invoked yet.

use std::io::{self, BufRead as _, IsTerminal as _, Read};

use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::args::RowFormat;
use super::line_splitter::LineSplitter;
use crate::app::cli::args::usage_error;
use crate::app::cli::stdin::cannot_read;
use crate::codec::csv::{Columns, RowSplitter, RowText};
use crate::model::error::{Error, Result};
use crate::model::sio::CsvOptions;

/// The longest row: 1 MiB. With all rows in flight it bounds the memory of the pipe.
const MAX_ROW_BYTES: usize = 1 << 20;
/// How many rows are read ahead.
const READ_AHEAD: usize = 16;
/// How much is read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// A digest of all rows up to one: a pipe that continues checks that its input is the same.
pub(super) type Chain = [u8; 32];

/// One row.
#[derive(Debug)]
pub(super) struct Record {
    /// Its number, from 1. A header has none.
    pub(super) number: u64,
    pub(super) row: RowText,
    /// Of this row and all before it.
    pub(super) chain: Chain,
    /// How many bytes of the input are read with it.
    pub(super) end: u64,
}

/// The input.
#[derive(Debug)]
pub(super) struct Input {
    rows: Receiver<Result<Record>>,
    format: RowFormat,
    options: CsvOptions,
    origin: Chain,
    total_bytes: Option<u64>,
}

impl Input {
    /// Begins to read standard input.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` for a terminal.
    pub(super) fn open(format: RowFormat, options: CsvOptions) -> Result<Self> {
        if io::stdin().is_terminal() {
            let message = "the rows are read from standard input: `cidery pipe NAME < FILE`";
            return Err(usage_error(message));
        }
        let (sender, rows) = channel(READ_AHEAD);
        let thread = std::thread::Builder::new().name("rows".to_owned());
        let read = move || {
            if let Err(error) = read(io::stdin(), format, options, &sender) {
                // The pipe may be over.
                drop(sender.blocking_send(Err(error)));
            }
        };
        let reader = thread.spawn(read);
        reader.map_err(|error| cannot_read("standard input", &error))?;
        Ok(Self {
            rows,
            format,
            options,
            origin: Chain::default(),
            total_bytes: size_of_stdin(),
        })
    }

    /// The header of CSV, which is read first.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` for an input without one; `DOCUMENT_MALFORMED`.
    pub(super) async fn columns(&mut self) -> Result<Option<Columns>> {
        if self.format == RowFormat::Jsonl {
            return Ok(None);
        }
        match self.next().await? {
            Some(header) => {
                self.origin = header.chain;
                Columns::of_header(&header.row, self.options).map(Some)
            }
            None => Err(usage_error("the input is empty: CSV begins with a header")),
        }
    }

    /// The chain before the first row.
    pub(super) fn origin(&self) -> Chain {
        self.origin
    }

    /// How many bytes there are to read, if that is known.
    pub(super) fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    /// The next row.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` with the error of the system; `DOCUMENT_MALFORMED`; `MESSAGE_TOO_LARGE`.
    pub(super) async fn next(&mut self) -> Result<Option<Record>> {
        self.rows.recv().await.transpose()
    }

    /// Passes over the rows that are written already: so many, with this digest.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` where they are not those that were written.
    pub(super) async fn skip(&mut self, rows: u64, written: Chain) -> Result<()> {
        let mut chain = self.origin;
        for _ in 0..rows {
            let record = self.next().await?.ok_or_else(other_input)?;
            chain = record.chain;
        }
        match chain == written {
            true => Ok(()),
            false => Err(other_input()),
        }
    }
}

fn other_input() -> Error {
    usage_error(
        "the input is not the one that the file of --state is about: its rows differ; remove that file to begin again",
    )
}

/// Reads all rows, until the receiver is dropped.
fn read(
    source: impl Read,
    format: RowFormat,
    options: CsvOptions,
    rows: &Sender<Result<Record>>,
) -> Result<()> {
    let mut source = io::BufReader::with_capacity(BUFFER_BYTES, source);
    let mut splitter = Splitter::new(format, options);
    let mut chain = Chain::default();
    let (mut number, mut end) = (u64::from(format == RowFormat::Jsonl), 0);
    let mut send = |row: RowText, end| {
        let digest = Sha256::new().chain_update(chain).chain_update(&row.text);
        chain = digest.finalize().into();
        let record = Record {
            number,
            row,
            chain,
            end,
        };
        number += 1;
        rows.blocking_send(Ok(record)).is_ok()
    };
    loop {
        let buffer = source.fill_buf();
        let mut bytes = match buffer {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer.map_err(|error| cannot_read("standard input", &error))?,
        };
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        while let Some(row) = splitter.next_row(&mut bytes)? {
            let taken = length - bytes.len();
            if !send(row, end + taken as u64) {
                return Ok(());
            }
        }
        end += length as u64;
        source.consume(length);
    }
    if let Some(row) = splitter.last_row()? {
        send(row, end);
    }
    Ok(())
}

/// Splits the input into rows.
enum Splitter {
    Csv(RowSplitter),
    Jsonl(LineSplitter),
}

impl Splitter {
    fn new(format: RowFormat, options: CsvOptions) -> Self {
        match format {
            RowFormat::Csv => Self::Csv(RowSplitter::new(options, MAX_ROW_BYTES)),
            RowFormat::Jsonl => Self::Jsonl(LineSplitter::new(MAX_ROW_BYTES)),
        }
    }

    fn next_row(&mut self, bytes: &mut &[u8]) -> Result<Option<RowText>> {
        match self {
            Self::Csv(rows) => rows.next_row(bytes),
            Self::Jsonl(lines) => lines.next_row(bytes),
        }
    }

    fn last_row(&mut self) -> Result<Option<RowText>> {
        match self {
            Self::Csv(rows) => rows.last_row(),
            Self::Jsonl(lines) => Ok(lines.last_row()),
        }
    }
}

/// The size of standard input, where it is a file.
#[cfg(unix)]
fn size_of_stdin() -> Option<u64> {
    use std::os::fd::AsFd as _;
    let stdin = io::stdin().as_fd().try_clone_to_owned().ok()?;
    let metadata = std::fs::File::from(stdin).metadata().ok()?;
    metadata.is_file().then_some(metadata.len())
}

#[cfg(not(unix))]
fn size_of_stdin() -> Option<u64> {
    None
}
