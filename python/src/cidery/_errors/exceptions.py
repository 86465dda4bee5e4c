"""Failures: one class for each kind of the one table, raised by clients and by handlers alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from cidery._errors.kind import Kind, Retry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Violation:
    """One thing that is wrong with an input."""

    path: str
    """Where: a JSON pointer, `/role_list/0/name`; empty for the whole."""
    description: str
    """What, for people."""
    reason: str = "INVALID"
    """What, for programs: stable, `UPPER_SNAKE_CASE`."""

    def __str__(self) -> str:
        return f"`{self.path}`: {self.description}" if self.path else self.description


@dataclass(frozen=True)
class Detail:
    """A protobuf message that is handed on as it is."""

    type_url: str
    value: bytes


class CideryError(Exception):
    """A failure, described once for programs and once for people.

    Match on the class or on `reason`; the message may change at any time. Raised in a handler it
    travels to whoever called, through any number of services.

    >>> from cidery import NotFound
    >>> error = NotFound("there is no customer 7", reason="CUSTOMER_UNKNOWN")
    >>> error.kind.name, error.reason, error.is_retryable
    ('NOT_FOUND', 'CUSTOMER_UNKNOWN', False)
    """

    kind: ClassVar[Kind] = Kind.UNKNOWN

    def __init__(
        self,
        message: str = "",
        *,
        reason: str = "",
        violations: Iterable[Violation] = (),
        retryable: bool | None = None,
        retry_after: float | None = None,
        cid: str | None = None,
        facts: Mapping[str, str] | None = None,
        details: Iterable[Detail] = (),
    ) -> None:
        self.violations = tuple(violations)
        """All that is wrong with the input."""
        # `NotFound(error)` is what Python's own exceptions take as well.
        self.message = str(message or "") or summarize(self.violations) or self.kind.name.lower()
        """For people."""
        self.reason = reason or self.kind.name
        """Stable, `UPPER_SNAKE_CASE`."""
        self.retryable = retryable
        """What the handler said about repeats, if it said anything."""
        self.retry_after = retry_after
        """When a repeat may help, at the earliest, in seconds."""
        self.cid = cid
        """The invocation that failed."""
        self.facts = {key: str(value) for key, value in (facts or {}).items()}
        """Facts for programs: the name of a limit and its value, for one."""
        self.details = tuple(details)
        """Protobuf messages of the handler's own, handed on as they are."""
        super().__init__(self.message)

    @property
    def code(self) -> int:
        """The gRPC status code."""
        return self.kind.code

    @property
    def violations_omitted(self) -> int:
        """How many violations there are beyond `violations`."""
        count = self.facts.get("violations_omitted", "")
        return int(count) if count.isdigit() else 0

    @property
    def is_retryable(self) -> bool:
        """Whether the same request, sent again, may succeed."""
        if self.retryable is not None:
            return self.retryable
        return self.retry_after is not None or self.kind.retry is not Retry.NO

    @property
    def has_no_side_effects(self) -> bool:
        """Whether the request certainly had no effect, so that a repeat is safe."""
        return self.kind.retry is Retry.YES

    def __str__(self) -> str:
        text = f"{self.reason}: {self.message}"
        return f"{text} (CID {self.cid})" if self.cid else text


def summarize(violations: Sequence[Violation]) -> str:
    """The first one, and how many there are besides."""
    if len(violations) <= 1:
        return "".join(str(violation) for violation in violations)
    return f"{violations[0]}, and {len(violations) - 1} more"


class Aborted(CideryError):
    """Another one was faster; start again from the reading."""

    kind = Kind.ABORTED


class AlreadyExists(CideryError):
    """Something to be made exists."""

    kind = Kind.ALREADY_EXISTS


class Cancelled(CideryError):
    """Cancelled, by the caller or by someone who may."""

    kind = Kind.CANCELLED


class DataLoss(CideryError):
    """Data is lost."""

    kind = Kind.DATA_LOSS


class DeadlineExceeded(CideryError):
    """Time ran out."""

    kind = Kind.DEADLINE_EXCEEDED


class FailedPrecondition(CideryError):
    """The state of the system does not allow it."""

    kind = Kind.FAILED_PRECONDITION


class Internal(CideryError):
    """A defect."""

    kind = Kind.INTERNAL


class InvalidArgument(CideryError):
    """The input is wrong, whatever the state of the system."""

    kind = Kind.INVALID_ARGUMENT


class NotFound(CideryError):
    """Something asked for does not exist."""

    kind = Kind.NOT_FOUND


class OutOfRange(CideryError):
    """Past the valid range."""

    kind = Kind.OUT_OF_RANGE


class PermissionDenied(CideryError):
    """The caller may not."""

    kind = Kind.PERMISSION_DENIED


class ResourceExhausted(CideryError):
    """A limit was reached."""

    kind = Kind.RESOURCE_EXHAUSTED


class Unauthenticated(CideryError):
    """Nobody knows who the caller is."""

    kind = Kind.UNAUTHENTICATED


class Unavailable(CideryError):
    """Cannot be had right now; repeat it."""

    kind = Kind.UNAVAILABLE


class Unimplemented(CideryError):
    """Not done here."""

    kind = Kind.UNIMPLEMENTED


class Unknown(CideryError):
    """Nobody can say how it ended: a worker was lost."""

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
    """What callers get of a response that is none. The same code would answer it again: it is not
    retried."""
    return Internal(
        message, reason="OUTPUT_INVALID", violations=violations, facts=facts, retryable=False
    )


def handler_failed(_: BaseException) -> CideryError:
    """What callers get of an exception that nobody declared: the log has the rest."""
    message = "the service failed; its log has the details"
    return Internal(message, reason="HANDLER_FAILED")
