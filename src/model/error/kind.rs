//! The table of error kinds: gRPC code, HTTP status, exit code, and whether a retry may help.

/// The kind of an error: the gRPC status codes without `OK`.
///
/// Every mapping of kinds is defined here: gRPC codes, HTTP statuses, exit codes, retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A concurrent change won; restart the read-modify-write sequence.
    Aborted,
    /// The resource to create already exists.
    AlreadyExists,
    /// Cancelled by the caller or by an operator.
    Cancelled,
    /// Unrecoverable loss of data.
    DataLoss,
    /// The deadline passed.
    DeadlineExceeded,
    /// The system is not in a state that allows the operation.
    FailedPrecondition,
    /// An internal error: a defect.
    Internal,
    /// The input is invalid in every state of the system.
    InvalidArgument,
    /// The requested resource does not exist.
    NotFound,
    /// The value is past the valid range.
    OutOfRange,
    /// The caller lacks the permission.
    PermissionDenied,
    /// A limit was reached.
    ResourceExhausted,
    /// The caller is not authenticated.
    Unauthenticated,
    /// The service is unavailable; retry later.
    Unavailable,
    /// The operation is not implemented.
    Unimplemented,
    /// The result is unknown, because a worker was lost.
    Unknown,
}

/// Whether a retry of the same request may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It does not: the caller must fix something first.
    No,
    /// It may, and the first request had no effect.
    Yes,
    /// It may, but the first request may have had effects.
    IfIdempotent,
}

impl Kind {
    /// All kinds, by gRPC code.
    pub const ALL: [Self; 16] = [
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    const fn row(self) -> (u8, &'static str, u16, u8, Retry) {
        use Retry::{IfIdempotent, No, Yes};
        match self {
            Self::Cancelled => (1, "CANCELLED", 499, 7, IfIdempotent),
            Self::Unknown => (2, "UNKNOWN", 500, 1, IfIdempotent),
            Self::InvalidArgument => (3, "INVALID_ARGUMENT", 400, 3, No),
            Self::DeadlineExceeded => (4, "DEADLINE_EXCEEDED", 504, 5, IfIdempotent),
            Self::NotFound => (5, "NOT_FOUND", 404, 4, No),
            Self::AlreadyExists => (6, "ALREADY_EXISTS", 409, 3, No),
            Self::PermissionDenied => (7, "PERMISSION_DENIED", 403, 3, No),
            Self::ResourceExhausted => (8, "RESOURCE_EXHAUSTED", 429, 6, Yes),
            Self::FailedPrecondition => (9, "FAILED_PRECONDITION", 400, 3, No),
            Self::Aborted => (10, "ABORTED", 409, 1, IfIdempotent),
            Self::OutOfRange => (11, "OUT_OF_RANGE", 400, 3, No),
            Self::Unimplemented => (12, "UNIMPLEMENTED", 501, 3, No),
            Self::Internal => (13, "INTERNAL", 500, 1, IfIdempotent),
            Self::Unavailable => (14, "UNAVAILABLE", 503, 6, Yes),
            Self::DataLoss => (15, "DATA_LOSS", 500, 1, No),
            Self::Unauthenticated => (16, "UNAUTHENTICATED", 401, 3, No),
        }
    }

    /// The gRPC status code.
    #[must_use]
    pub const fn grpc_code(self) -> u8 {
        self.row().0
    }

    /// The name of the gRPC status code, such as `NOT_FOUND`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().1
    }

    /// The HTTP status.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        self.row().2
    }

    /// The exit code of the command line: 1 failed, 3 refused, 4 not found, 5 timed out, 6 unavailable, 7 cancelled.
    /// 2 is a command line that is used incorrectly.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        self.row().3
    }

    /// Whether a retry may help.
    #[must_use]
    pub const fn retry(self) -> Retry {
        self.row().4
    }

    /// The kind with a gRPC status code; `None` for 0 (`OK`) and for unknown codes.
    #[must_use]
    pub fn from_grpc_code(code: i32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| i32::from(kind.grpc_code()) == code)
    }

    /// The kind with the name of a gRPC status code, case-insensitive.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grpc_code_has_one_kind() {
        for code in 1..=16 {
            let kind = Kind::from_grpc_code(code).unwrap();
            assert_eq!(i32::from(kind.grpc_code()), code);
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(Kind::from_grpc_code(0), None);
        assert_eq!(Kind::from_grpc_code(17), None);
    }
}
