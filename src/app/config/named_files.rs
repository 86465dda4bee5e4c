//! Whether the files that a configuration names can be read, for `cidery config check`. It is asked by the user that
//! runs the command, who may be another one than that of the node: what is wrong is a warning, unless the command says
//! otherwise.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::entry::Origin;
use super::problem::{Problem, error_of};
use super::sources::Loaded;
use crate::model::error::Error;

/// How a URL of keys begins: it is no file.
const HTTPS: &str = "https://";

impl Loaded {
    /// The files that cannot be read, and the audit log that cannot be written, each at the place of its option.
    pub(in crate::app) fn unreadable_files(&self) -> Vec<Problem> {
        let (tls, access) = (&self.config.tls, &self.config.access);
        let jwks = access.jwt_jwks.as_deref();
        let jwks = jwks
            .filter(|keys| !keys.starts_with(HTTPS))
            .map(PathBuf::from);
        let files = [
            ("tls_cert", tls.tls_cert.as_ref()),
            ("tls_key", tls.tls_key.as_ref()),
            ("tls_client_ca", tls.tls_client_ca.as_ref()),
            ("tls_client_crl", tls.tls_client_crl.as_ref()),
            ("jwt_jwks", jwks.as_ref()),
            ("store_key_file", self.config.store.store_key_file.as_ref()),
            ("otlp_ca", self.config.traces.otlp_ca.as_ref()),
        ];
        let read = files.into_iter().filter_map(|(key, file)| {
            let file = file?;
            let error = check_readable(file).err()?;
            let message = format!("`{}` cannot be read: {error}", file.display());
            Some(self.problem(key, message))
        });
        read.chain(self.missing_folder()).collect()
    }

    /// The audit log is made where it is missing, its folder is not.
    fn missing_folder(&self) -> Option<Problem> {
        let file = self.config.access.audit_log.as_ref()?;
        let folder = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())?;
        (!folder.is_dir()).then(|| {
            let message = format!("there is no folder `{}`", folder.display());
            self.problem("audit_log", message)
        })
    }

    fn problem(&self, key: &str, message: String) -> Problem {
        let given = self.given.get(key);
        let origin = given.map_or(Origin::Default, |given| given.origin.clone());
        Problem::new(origin, "INVALID", message).of_key(key)
    }

    /// The error of an option whose file cannot be used, at the place of the option.
    pub(in crate::app) fn refuse(&self, key: &str, message: String) -> Error {
        error_of(&[self.problem(key, message)])
    }
}

fn check_readable(file: &Path) -> io::Result<()> {
    match File::open(file)?.metadata()?.is_dir() {
        true => Err(io::ErrorKind::IsADirectory.into()),
        false => Ok(()),
    }
}
