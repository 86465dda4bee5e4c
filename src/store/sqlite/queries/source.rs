//! Where a list or a summary begins to read, and its statement.

use super::row::STATE_TABLES;

/// Where a list begins to read, in the order of the ids. `CROSS JOIN` keeps SQLite from beginning elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// All invocations, or an index of them.
    Invocations,
    /// All invocations, and no index.
    Scan,
    /// Those of one service.
    OfService,
    /// Those that have not ended.
    Pending,
    /// Those that have ended.
    Outcomes,
    /// Those that ended without a response.
    Failures,
    /// Those that are held.
    Held,
}

impl Source {
    /// The column of the ids by which the list is read.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Invocations | Self::Scan => "invocation.id",
            Self::OfService => "service_index.id",
            Self::Pending | Self::Held => "pending.id",
            Self::Outcomes | Self::Failures => "outcome.id",
        }
    }

    /// The statement that reads columns of the rows with these conditions. Its last value is the number of rows.
    pub(super) fn select(self, columns: &str, conditions: &[String]) -> String {
        let invocation = format!("invocation ON invocation.id = {}", self.id());
        let of_row = "CROSS JOIN service ON service.id = invocation.service";
        let from_outcome = format!(
            "CROSS JOIN {invocation} LEFT JOIN pending ON pending.id = invocation.id {of_row}"
        );
        let from_pending = format!(
            "CROSS JOIN {invocation} LEFT JOIN outcome ON outcome.id = invocation.id {of_row}"
        );
        let from = match self {
            Self::Invocations => format!("invocation {STATE_TABLES} {of_row}"),
            Self::Scan => format!("invocation NOT INDEXED {STATE_TABLES} {of_row}"),
            Self::OfService => format!(
                "service CROSS JOIN service_index ON service_index.service = service.id
                 CROSS JOIN {invocation} {STATE_TABLES}"
            ),
            Self::Pending => format!("pending {from_pending}"),
            Self::Held => format!("pending INDEXED BY dead_letters {from_pending}"),
            Self::Outcomes => format!("outcome {from_outcome}"),
            Self::Failures => format!("outcome INDEXED BY failures {from_outcome}"),
        };
        let conditions = conditions.join(" AND ");
        // The condition of the index.
        let is_indexed = match self {
            Self::Failures => "outcome.state > 2 AND ",
            Self::Held => "pending.due >= 9223372036854775807 AND pending.awaited = 0 AND ",
            _ => "",
        };
        let id = self.id();
        format!(
            "SELECT {columns} FROM {from} WHERE {is_indexed}{conditions} ORDER BY {id} DESC LIMIT ?"
        )
    }
}
