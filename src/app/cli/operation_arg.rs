//! Identifiers of operations as arguments: whole, or as a unique prefix.

use std::str::FromStr;

use super::id_prefix::{MIN_PREFIX, is_prefix, only_one};
use crate::model::error::{Error, Result, reason};
use crate::model::operation::OperationId;
use crate::remote::client::ContractClient;

/// The identifier of an operation, or a prefix of one.
#[derive(Clone, Debug)]
pub(super) enum OperationArg {
    Whole(OperationId),
    Prefix(String),
}

impl FromStr for OperationArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match OperationId::parse(text) {
            Ok(id) => Ok(Self::Whole(id)),
            Err(_) if is_prefix(text) => Ok(Self::Prefix(text.to_owned())),
            Err(error) => Err(error.with_message(format!(
                "`{text}` is not the ID of an operation, nor the beginning of one ({MIN_PREFIX} or more characters, \
                 in lower case)"
            ))),
        }
    }
}

impl OperationArg {
    /// The identifier.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` / `OPERATION_UNKNOWN` and `INVALID_ARGUMENT` / `OPERATION_AMBIGUOUS` for a prefix, which is looked
    /// up among all operations of the node; `UNAVAILABLE` where the connection is lost.
    pub(super) async fn resolve(self, client: &ContractClient) -> Result<OperationId> {
        let prefix = match self {
            Self::Whole(id) => return Ok(id),
            Self::Prefix(prefix) => prefix,
        };
        // The node keeps few.
        let all = client.operations(&[], usize::MAX).await?;
        let ids = all.into_iter().map(|operation| operation.id);
        let matching: Vec<String> = ids.filter(|id| id.starts_with(&prefix)).collect();
        match only_one(
            &prefix,
            &matching,
            "operations",
            reason::OPERATION_AMBIGUOUS,
        )? {
            Some(id) => OperationId::parse(id),
            None => {
                let message =
                    format!("no operation of the node has an ID that starts with `{prefix}`");
                Err(Error::not_found(reason::OPERATION_UNKNOWN, message))
            }
        }
    }
}
