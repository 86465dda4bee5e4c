"""The table of failure kinds: gRPC code, HTTP status, exit code, and whether a retry may succeed.
Equal to the table of the node; everything that depends on a kind reads it here."""

from __future__ import annotations

import enum


class Retry(enum.Enum):
    """Whether a retry of the same request may succeed."""

    NO = "no"
    """No: the caller must fix the request first."""
    YES = "yes"
    """Yes: the failed request had no effect."""
    IF_IDEMPOTENT = "if idempotent"
    """Only if the request is idempotent: the failed request may have had effects."""


class Kind(enum.Enum):
    """The kind of a failure: the gRPC status codes without `OK`."""

    CANCELLED = (1, 499, 1, Retry.IF_IDEMPOTENT)
    UNKNOWN = (2, 500, 2, Retry.IF_IDEMPOTENT)
    INVALID_ARGUMENT = (3, 400, 1, Retry.NO)
    DEADLINE_EXCEEDED = (4, 504, 1, Retry.IF_IDEMPOTENT)
    NOT_FOUND = (5, 404, 1, Retry.NO)
    ALREADY_EXISTS = (6, 409, 1, Retry.NO)
    PERMISSION_DENIED = (7, 403, 1, Retry.NO)
    RESOURCE_EXHAUSTED = (8, 429, 1, Retry.YES)
    FAILED_PRECONDITION = (9, 400, 1, Retry.NO)
    ABORTED = (10, 409, 1, Retry.IF_IDEMPOTENT)
    OUT_OF_RANGE = (11, 400, 1, Retry.NO)
    UNIMPLEMENTED = (12, 501, 1, Retry.NO)
    INTERNAL = (13, 500, 2, Retry.IF_IDEMPOTENT)
    UNAVAILABLE = (14, 503, 2, Retry.YES)
    DATA_LOSS = (15, 500, 2, Retry.NO)
    UNAUTHENTICATED = (16, 401, 1, Retry.NO)

    @property
    def code(self) -> int:
        """The gRPC status code."""
        return self.value[0]

    @property
    def http_status(self) -> int:
        """The HTTP status."""
        return self.value[1]

    @property
    def exit_code(self) -> int:
        """The exit code of a command: 1 for errors that the user can fix, else 2."""
        return self.value[2]

    @property
    def retry(self) -> Retry:
        """Whether a retry may succeed."""
        return self.value[3]

    @classmethod
    def from_code(cls, code: int) -> Kind:
        """The kind of a gRPC status code; `UNKNOWN` for codes that gRPC does not define."""
        return _BY_CODE.get(code, cls.UNKNOWN)


_BY_CODE = {kind.code: kind for kind in Kind}
