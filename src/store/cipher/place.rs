//! Where a blob belongs: the column, and the invocation or the operation.

use crate::model::id::Cid;
use crate::model::operation::OperationId;

/// What a blob is. The numbers are part of the format, and never change their meaning.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum Column {
    /// What was asked.
    Request = 1,
    /// The events of one record: a part of the column of all events.
    Events = 2,
    /// The last progress.
    Progress = 3,
    /// The last failure of a pending invocation, and why it is cancelled.
    LastFailure = 4,
    /// What was asked of an operation.
    OperationRequest = 5,
    /// How far an operation is.
    OperationProgress = 6,
}

/// The sample of a key is no column of invocations.
const SAMPLE: u8 = 0;

/// Where a blob belongs. It can be opened nowhere else.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Place {
    column: u8,
    owner: [u8; 16],
}

impl Place {
    pub(super) const SAMPLE: Self = Self {
        column: SAMPLE,
        owner: [0; 16],
    };

    /// A column of an invocation.
    pub(in crate::store) fn of(cid: Cid, column: Column) -> Self {
        Self {
            column: column as u8,
            owner: *cid.as_bytes(),
        }
    }

    /// A column of an operation.
    pub(in crate::store) fn of_operation(id: OperationId, column: Column) -> Self {
        Self {
            column: column as u8,
            owner: *id.as_bytes(),
        }
    }

    /// What is authenticated with a blob: its header, and the place.
    pub(super) fn context(self, header: &[u8]) -> Vec<u8> {
        let mut context = Vec::with_capacity(header.len() + 1 + self.owner.len());
        context.extend_from_slice(header);
        context.push(self.column);
        context.extend_from_slice(&self.owner);
        context
    }
}
