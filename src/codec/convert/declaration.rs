//! Service declarations, as workers announce them and discovery lists them: from and to their plain parts.
//!
//! `remote::protocol::declaration` converts a `Definition` with these functions: `codec` must not depend on `service`.

use std::fmt::Write as _;

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::requests::options::{service_options_from_proto, service_options_to_proto};
use super::sio::{sio_from_proto, sio_to_proto};
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::model::id::ServiceName;
use crate::model::service_options::ServiceOptions;
use crate::model::sio::Sio;

/// Converts a declaration to the contract's form.
#[must_use]
pub fn declaration_to_proto(
    name: &ServiceName,
    sio: &Sio,
    options: &ServiceOptions,
) -> v1::ServiceDeclaration {
    v1::ServiceDeclaration {
        name: name.to_string(),
        description: options.description.clone(),
        sio: Some(sio_to_proto(sio)),
        options: Some(service_options_to_proto(options)),
    }
}

/// Converts a declaration that a worker announced.
///
/// # Errors
///
/// `INVALID_ARGUMENT` for a malformed name, declaration or option.
pub fn declaration_from_proto(
    declaration: v1::ServiceDeclaration,
) -> Result<(ServiceName, Sio, ServiceOptions)> {
    let name = ServiceName::parse(&declaration.name)?;
    let mut options = service_options_from_proto(declaration.options.unwrap_or_default())?;
    options.description = declaration.description;
    let sio = sio_from_proto(declaration.sio.unwrap_or_default())?;
    Ok((name, sio, options))
}

/// Computes the hash of a declaration: equal declarations have equal hashes.
#[must_use]
pub fn declaration_hash(declaration: &v1::ServiceDeclaration) -> String {
    const BYTES: usize = 8;
    let digest = Sha256::digest(declaration.encode_to_vec());
    let mut hash = String::new();
    for byte in digest.iter().take(BYTES) {
        let _ = write!(hash, "{byte:02x}");
    }
    hash
}
