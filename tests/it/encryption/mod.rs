//! The encrypted store: what of it can be read without its keys, what cannot be changed, and how keys come and go.

mod commands;
mod dump;
mod fixture;
mod loss;
mod rotation;
mod stolen;
mod tampering;

use cidery::store::{SqliteOptions, SqliteStore, StoreKeys};
use cidery::{Error, Result};

use crate::support::Folder;
use crate::support::stored::KEY;

const OTHER_KEY: &str = "k2:HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const THIRD_KEY: &str = "k3:LwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Opens the store in a folder with these keys.
fn opened_with(folder: &Folder, keys: Option<StoreKeys>) -> Result<SqliteStore> {
    let options = SqliteOptions {
        keys,
        ..SqliteOptions::default()
    };
    SqliteStore::open_with(folder.path(), options)
}

/// Opens the store in a folder with the keys of a text.
fn opened(folder: &Folder, keys: &str) -> SqliteStore {
    opened_with(folder, Some(StoreKeys::parse(keys).unwrap())).unwrap()
}

/// Why the store in a folder is not opened.
fn refused(folder: &Folder, keys: Option<&str>) -> Error {
    let keys = keys.map(|keys| StoreKeys::parse(keys).unwrap());
    opened_with(folder, keys).unwrap_err()
}

/// The database of a store that is closed.
fn database(folder: &Folder) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.path().join("cidery.db")).unwrap()
}
