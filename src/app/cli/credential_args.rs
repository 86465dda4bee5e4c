//! The credential of a command that connects to a node.
//!
//! There is no option with the key itself: the list of processes (`ps`) and the history of shells show arguments.

use std::fs::Metadata;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::args::usage_error;
use super::contexts::Context;
use crate::model::error::Result;
use crate::remote::ClientCredential;

/// The environment variable with a key. It is not an option of clap, whose help would show its value.
const VARIABLE: &str = "CIDERY_API_KEY";
/// How long a file with a key is, at most: 16 KiB.
const MAX_FILE_BYTES: u64 = 16 << 10;
/// What users may do with a file who are neither its owner nor of its group.
const OTHERS: u32 = 0o007;

/// The credential of a command that connects to a node. `cidery --help` shows these options.
#[derive(Args, Clone, Debug)]
pub(super) struct CredentialArgs {
    /// File with the API key, or the token of an issuer, for a node that asks who calls. Default: the environment
    /// variable `CIDERY_API_KEY`. There is no option with the key itself, since other users can see arguments.
    #[arg(
        long,
        global = true,
        hide = true,
        env = "CIDERY_API_KEY_FILE",
        value_name = "FILE"
    )]
    api_key_file: Option<PathBuf>,
    /// Send the API key in plain text to another machine. By default it is sent with TLS, or to this machine.
    #[arg(long, global = true, hide = true)]
    insecure_key: bool,
}

impl CredentialArgs {
    /// The identifiers of the options.
    pub(super) const NAMES: [&str; 2] = ["api_key_file", "insecure_key"];

    /// The credential, that of a context where none is given; `None` where there is neither.
    ///
    /// # Errors
    ///
    /// `INVALID_ARGUMENT` / `USAGE_INVALID` for a file that cannot be read; `UNAUTHENTICATED` / `CREDENTIAL_INVALID`
    /// for what is no key.
    pub(super) fn credential(&self, context: Option<&Context>) -> Result<Option<ClientCredential>> {
        let variable = || std::env::var(VARIABLE).ok().filter(|key| !key.is_empty());
        let of_context = context.and_then(|context| context.api_key_file.as_ref());
        let key = match (&self.api_key_file, variable(), of_context) {
            (Some(file), _, _) | (None, None, Some(file)) => Some(read(file)?),
            (None, variable, _) => variable,
        };
        let credential = key.map(|key| ClientCredential::api_key(&key)).transpose()?;
        Ok(credential.map(|credential| match self.insecure_key {
            true => credential.insecure(),
            false => credential,
        }))
    }
}

impl CredentialArgs {
    /// What is wrong with the file of the key that is used: other users may read it.
    pub(super) fn warning(&self, context: Option<&Context>) -> Option<String> {
        let of_context = context.and_then(|context| context.api_key_file.as_ref());
        let is_variable_set = || std::env::var_os(VARIABLE).is_some_and(|key| !key.is_empty());
        let file = match &self.api_key_file {
            Some(file) => file,
            None => of_context.filter(|_| !is_variable_set())?,
        };
        let found = std::fs::metadata(file).ok().filter(Metadata::is_file)?;
        let mode = found.mode() & 0o777;
        (mode & OTHERS != 0).then(|| {
            format!(
                "other users may read the API key in `{}` (mode {mode:03o}); use `chmod 600`",
                file.display()
            )
        })
    }
}

fn read(file: &Path) -> Result<String> {
    let read = || {
        let mut text = String::new();
        let opened = std::fs::File::open(file)?;
        opened.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    read().map_err(|error| {
        let message = format!("cannot read the API key from `{}`: {error}", file.display());
        usage_error(message)
    })
}
