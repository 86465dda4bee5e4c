//! Service declarations, as workers announce them and discovery lists them: from and to their plain parts.
//!
//! `remote::protocol::declaration` converts a `Definition` with these functions: `codec` must not depend on `service`.

use std::fmt::Write as _;

use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::requests::options::{service_options_from_proto, service_options_to_proto};
use super::sio::{sio_from_proto, sio_to_proto};
use crate::codec::proto::v1;
use crate::model::error::{Error, Result, Violation, reason};
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
/// `INVALID_ARGUMENT` / `DECLARATION_INVALID` with all violations of its name, its options and its Simple IO.
pub fn declaration_from_proto(
    declaration: v1::ServiceDeclaration,
) -> Result<(ServiceName, Sio, ServiceOptions)> {
    let name = ServiceName::parse(&declaration.name);
    let options = service_options_from_proto(declaration.options.unwrap_or_default());
    let sio = sio_from_proto(declaration.sio.unwrap_or_default());
    match (name, options, sio) {
        (Ok(name), Ok(mut options), Ok(sio)) => {
            options.description = declaration.description;
            Ok((name, sio, options))
        }
        (name, options, sio) => {
            let mut violations = Vec::new();
            if let Err(error) = name {
                violations.push(Violation::new("/name", "INVALID", error.message()));
            }
            violations.extend(
                options
                    .err()
                    .map(|error| error.violations_at("/options"))
                    .unwrap_or_default(),
            );
            violations.extend(
                sio.err()
                    .map(|error| error.violations_at("/sio"))
                    .unwrap_or_default(),
            );
            Err(Error::violations(reason::DECLARATION_INVALID, violations))
        }
    }
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
