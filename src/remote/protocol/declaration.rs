//! Converts a `Definition` to its message and back. Not in `codec`, which must not depend on `service`.

use crate::codec::convert;
use crate::codec::proto::v1;
use crate::model::error::Result;
use crate::service::Definition;

/// Converts a definition to the message of its declaration.
pub(crate) fn definition_to_proto(definition: &Definition) -> v1::ServiceDeclaration {
    let options = definition.service_options();
    convert::declaration_to_proto(definition.name(), definition.declaration(), options)
}

/// Converts a declaration to the definition of a service that workers handle.
///
/// # Errors
///
/// `INVALID_ARGUMENT` with all violations.
pub(in crate::remote) fn definition_from_proto(
    declaration: v1::ServiceDeclaration,
) -> Result<Definition> {
    let (name, sio, options) = convert::declaration_from_proto(declaration)?;
    Definition::served_by_workers(name, sio, options).prepared()
}
