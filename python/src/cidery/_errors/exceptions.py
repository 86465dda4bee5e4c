"""The exception classes: one for each kind of failure, raised by clients and by handlers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from cidery._errors.kind import Kind, Retry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


_REASON = re.compile(r"[A-Z][A-Z0-9_]*")
_MAX_LISTED = 5
"""The maximum number of violations in the text of an error."""


@dataclass(frozen=True)
class Violation:
    """A violation of a declaration: one invalid field of an input or an output."""

    path: str
    """A JSON pointer to the field, such as `/role_list/0/name`; empty for the whole value."""
    description: str
    """The description for people."""
    reason: str = "INVALID"
    """The reason for programs: stable, `UPPER_SNAKE_CASE`."""

    def __str__(self) -> str:
        return f"`{self.path}`: {self.description}" if self.path else self.description


@dataclass(frozen=True)
class Detail:
    """A protobuf message in the details of a failure, passed through unchanged."""

    type_url: str
    value: bytes


class CideryError(Exception):
    """A failure: a kind, a stable reason, and a message for people.

    Match on the class or on `reason`; the message may change at any time. An error that a handler
    raises reaches its caller unchanged, through any number of nested calls.

    `reason` is `UPPER_SNAKE_CASE`, by default the name of the kind. Any other text is the message
    if it is the only one, as in `NotFound("there is no customer 7")`; with a message, it raises a
    `ValueError`. The default message is the first of the violations.

    >>> from cidery import NotFound
    >>> error = NotFound("CUSTOMER_UNKNOWN", "there is no customer 7")
    >>> error.kind.name, error.reason, error.is_retryable
    ('NOT_FOUND', 'CUSTOMER_UNKNOWN', False)
    """

    kind: ClassVar[Kind] = Kind.UNKNOWN

    def __init__(
        self,
        reason: str = "",
        message: str = "",
        *,
        violations: Iterable[Violation] = (),
        retryable: bool | None = None,
        retry_after: float | None = None,
        cid: str | None = None,
        facts: Mapping[str, str] | None = None,
        details: Iterable[Detail] = (),
    ) -> None:
        is_reason = not reason or _REASON.fullmatch(str(reason)) is not None
        if not is_reason and not message:
            # `NotFound("there is no order 5")`, as Python's own exceptions.
            reason, message = "", reason
        elif not is_reason:
            name = type(self).__name__
            raise ValueError(
                f"{reason!r} is not a reason: give one in `UPPER_SNAKE_CASE`, then the message:"
                f' `{name}("REASON", "message")`'
            )
        self.violations = tuple(violations)
        """All violations of the declaration, not only the first one."""
        # Accepts an exception as the message, as Python's own exceptions do.
        self.message = str(message or "") or summarize(self.violations) or self.kind.name.lower()
        """The message for people."""
        self.reason = reason or self.kind.name
        """The reason for programs: stable, `UPPER_SNAKE_CASE`."""
        self.retryable = retryable
        """Whether a retry may succeed, where the handler specified it."""
        self.retry_after = retry_after
        """The minimum delay before a retry, in seconds."""
        self.cid = cid
        """The CID of the invocation that failed."""
        self.facts = {key: str(value) for key, value in (facts or {}).items()}
        """Facts for programs, such as the name of a limit and its value."""
        self.details = tuple(details)
        """Protobuf messages that the handler attached, passed through unchanged."""
        super().__init__(self.reason, self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        # Not by the constructor: those of subclasses differ.
        return (_restore, (type(self), self.args, vars(self)))

    @property
    def code(self) -> int:
        """The gRPC status code."""
        return self.kind.code

    @property
    def violations_omitted(self) -> int:
        """The number of violations beyond `violations`."""
        count = self.facts.get("violations_omitted", "")
        return int(count) if count.isdigit() else 0

    @property
    def is_retryable(self) -> bool:
        """Whether a retry of the same request may succeed."""
        if self.retryable is not None:
            return self.retryable
        return self.retry_after is not None or self.kind.retry is not Retry.NO

    @property
    def has_no_side_effects(self) -> bool:
        """Whether the request is certain to have had no effect, so that a retry is safe."""
        return self.kind.retry is Retry.YES

    def __str__(self) -> str:
        text = f"{self.reason}: {self._described()}"
        return f"{text} (CID {self.cid})" if self.cid else text

    def __repr__(self) -> str:
        cid = f", cid={self.cid!r}" if self.cid else ""
        return f"{type(self).__name__}({self.reason!r}, {self.message!r}{cid})"

    def _described(self) -> str:
        """The message with the first violations, where it has at most one of them."""
        if not self.violations:
            return self.message
        listed = "; ".join(map(str, self.violations[:_MAX_LISTED]))
        more = len(self.violations) + self.violations_omitted - _MAX_LISTED
        if more > 0:
            listed += f"; and {more} more"
        summary = re.escape(str(self.violations[0])) + r"(, and \d+ more)?"
        found = re.search(summary, self.message)
        if found is None:
            return f"{self.message}: {listed}"
        return self.message[: found.start()] + listed + self.message[found.end() :]


def _restore(cls: type[CideryError], args: tuple[Any, ...], state: dict[str, Any]) -> CideryError:
    """Restores a pickled or copied error."""
    error = cls.__new__(cls)
    error.args = args
    vars(error).update(state)
    return error


def summarize(violations: Sequence[Violation]) -> str:
    """The first violation, and the number of further ones."""
    if len(violations) <= 1:
        return "".join(str(violation) for violation in violations)
    return f"{violations[0]}, and {len(violations) - 1} more"


class Aborted(CideryError):
    """A conflict with a concurrent change; restart from reading the current state."""

    kind = Kind.ABORTED


class AlreadyExists(CideryError):
    """The resource to create exists already."""

    kind = Kind.ALREADY_EXISTS


class Cancelled(CideryError):
    """The invocation was cancelled."""

    kind = Kind.CANCELLED


class DataLoss(CideryError):
    """Data is lost or corrupt."""

    kind = Kind.DATA_LOSS


class DeadlineExceeded(CideryError):
    """The deadline passed."""

    kind = Kind.DEADLINE_EXCEEDED


class FailedPrecondition(CideryError):
    """The state of the system does not allow the operation."""

    kind = Kind.FAILED_PRECONDITION


class Internal(CideryError):
    """An internal error."""

    kind = Kind.INTERNAL


class InvalidArgument(CideryError):
    """The input is invalid, whatever the state of the system."""

    kind = Kind.INVALID_ARGUMENT


class NotFound(CideryError):
    """The requested resource does not exist."""

    kind = Kind.NOT_FOUND


class OutOfRange(CideryError):
    """A value is outside of the valid range."""

    kind = Kind.OUT_OF_RANGE


class PermissionDenied(CideryError):
    """The caller has no permission."""

    kind = Kind.PERMISSION_DENIED


class ResourceExhausted(CideryError):
    """A limit was reached."""

    kind = Kind.RESOURCE_EXHAUSTED


class Unauthenticated(CideryError):
    """The caller is not authenticated."""

    kind = Kind.UNAUTHENTICATED


class Unavailable(CideryError):
    """The service is not available now; retry later."""

    kind = Kind.UNAVAILABLE


class ConnectFailed(Unavailable):
    """The node could not be reached: nothing was sent.

    A class of its own, since a handler may fail with the same reason after it has run.
    """


class Unimplemented(CideryError):
    """The operation is not implemented."""

    kind = Kind.UNIMPLEMENTED


class Unknown(CideryError):
    """The outcome is unknown, as after the loss of a worker."""

    kind = Kind.UNKNOWN


CLASS_BY_KIND: dict[Kind, type[CideryError]] = {
    cls.kind: cls
    for cls in (
        Aborted,
        AlreadyExists,
        Cancelled,
        DataLoss,
        DeadlineExceeded,
        FailedPrecondition,
        Internal,
        InvalidArgument,
        NotFound,
        OutOfRange,
        PermissionDenied,
        ResourceExhausted,
        Unauthenticated,
        Unavailable,
        Unimplemented,
        Unknown,
    )
}


def output_invalid(
    message: str, violations: Iterable[Violation] = (), facts: Mapping[str, str] | None = None
) -> Internal:
    """The failure for an output that violates its declaration. It is not retried: the same code
    would return the same output."""
    return Internal("OUTPUT_INVALID", message, violations=violations, facts=facts, retryable=False)


def response_mismatch(
    message: str, violations: Iterable[Violation], facts: Mapping[str, str], cid: str | None
) -> Internal:
    """The failure for a response that is not of the type that its caller expects."""
    return Internal(
        "RESPONSE_MISMATCH", message, violations=violations, facts=facts, cid=cid, retryable=False
    )


def handler_failed(_: BaseException) -> CideryError:
    """The failure for an undeclared exception of a handler. The details are in the log."""
    message = "the service failed; its log has the details"
    return Internal("HANDLER_FAILED", message)
