"""Zato's exceptions, each with the kind of failure of its HTTP status.

Failures of nested calls are raised as these classes. Each derives from a class of this SDK as well,
so that either can be caught.
"""

from __future__ import annotations

from typing import Any

from cidery._errors.exceptions import (
    AlreadyExists,
    CideryError,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from cidery._errors.exceptions import NotFound as _NotFound
from cidery._errors.kind import Kind
from cidery._protocol.steps import Operation

# The fact with the exact HTTP status, where the kind does not imply it.
_STATUS_FACT = "http_status"


class ZatoException(CideryError):
    """A failure without a more specific class."""

    kind = Kind.INTERNAL

    def __init__(self, cid: Any = None, msg: Any = None, *_: Any, **__: Any) -> None:
        message = str(msg) if msg else type(self).__name__
        super().__init__(message=message, cid=str(cid) if cid else None)
        self.msg = msg


class StatusAwareException(ZatoException):
    """A failure with an HTTP status, which determines its kind."""

    status: int = 500

    def __init__(
        self, cid: Any = None, msg: Any = None, status: Any = None, *_: Any, **__: Any
    ) -> None:
        # Subclasses with a fixed status pass other arguments here: `needs_msg`, a challenge.
        is_status = type(status) is int and 100 <= status <= 599
        if is_status:
            vars(self)["kind"] = _kind_of(status)
        super().__init__(cid, msg)
        if is_status:
            self.status = status
            self.facts[_STATUS_FACT] = str(status)


class HTTPException(StatusAwareException):
    """A failure with an HTTP status."""


class Reportable(HTTPException):
    """A failure whose message is for callers: `Reportable(cid, msg, status)`."""

    kind = Kind.INVALID_ARGUMENT
    status = 400


# The class of this SDK is the first base: it determines the kind.


class BadRequest(InvalidArgument, Reportable):
    """400."""


class Unauthorized(Unauthenticated, Reportable):
    """401."""

    status = 401


class Forbidden(PermissionDenied, Reportable):
    """403."""

    status = 403


class NotFound(_NotFound, Reportable):
    """404."""

    status = 404


class MethodNotAllowed(Unimplemented, Reportable):
    """405."""

    status = 405


class Conflict(AlreadyExists, Reportable):
    """409."""

    status = 409


class TooManyRequests(ResourceExhausted, Reportable):
    """429."""

    status = 429


class InternalServerError(Internal, Reportable):
    """500."""

    status = 500


class ServiceUnavailable(Unavailable, Reportable):
    """503."""

    status = 503


class ClientError(InvalidArgument, Reportable):
    """Any other status below 500."""


class ServerError(Internal, Reportable):
    """Any other status."""


# The classes of particular failures.


class ModelValidationError(BadRequest):
    """An input that violates its declaration."""


class ElementMissing(ModelValidationError):
    """A required element is absent."""


class ElementIsNotAList(ModelValidationError):
    """An element is no list."""


class ParsingException(BadRequest):
    """A malformed document, such as invalid JSON."""

    def __init__(self, cid: Any = None, msg: Any = None, *_: Any, **__: Any) -> None:
        super().__init__(cid, msg)
        self.reason = "DOCUMENT_MALFORMED"


class BackendInvocationError(BadRequest):
    """A call of another system failed."""


class SerialisationError(InternalServerError):
    """An output that violates its declaration."""


class RateLimitReached(TooManyRequests):
    """The service is called too often."""


class RuntimeInvocationError(InternalServerError):
    """A service failed."""


class ServiceMissingException(NotFound, KeyError):
    """An unknown service: a `KeyError` as well, as in Zato."""

    __str__ = NotFound.__str__


class Inactive(FailedPrecondition, ZatoException):
    """A service that an operator has disabled."""

    def __init__(self, name: Any = None, *_: Any, **__: Any) -> None:
        super().__init__(None, f"`{name}` is inactive")
        self.reason = "SERVICE_INACTIVE"


class ConnectionException(Unavailable, ZatoException):
    """Another system cannot be reached."""


class TimeoutException(DeadlineExceeded, ZatoException):
    """A call has timed out. No `Reportable`, as in Zato."""


_BY_STATUS: dict[int, type[Reportable]] = {
    cls.status: cls
    for cls in (
        BadRequest,
        Unauthorized,
        Forbidden,
        NotFound,
        MethodNotAllowed,
        Conflict,
        TooManyRequests,
        InternalServerError,
        ServiceUnavailable,
    )
}
_BY_KIND: dict[Kind, type[Reportable]] = {cls.kind: cls for cls in _BY_STATUS.values()}


_BY_REASON: dict[str, type[ZatoException]] = {
    "DOCUMENT_MALFORMED": ParsingException,
    "OUTPUT_INVALID": SerialisationError,
    "RATE_LIMIT": RateLimitReached,
    "SERVICE_INACTIVE": Inactive,
    "SERVICE_UNKNOWN": ServiceMissingException,
}


def _class_of(status: int) -> type[Reportable]:
    return _BY_STATUS.get(status) or (ClientError if 400 <= status < 500 else ServerError)


def _kind_of(status: int) -> Kind:
    return _class_of(status).kind


def translate_failures(operation: Operation[Any]) -> Operation[Any]:
    """The same operation; failures of nested calls are raised as Zato's exceptions."""
    try:
        return (yield from operation)
    except CideryError as error:
        translated = to_zato_exception(error)
        if translated is error:
            raise
        raise translated.with_traceback(error.__traceback__) from error.__cause__


def to_zato_exception(error: CideryError) -> CideryError:
    """Converts a failure to Zato's class for its reason or kind; unchanged if there is none."""
    if isinstance(error, ZatoException):
        return error
    status = error.facts.get(_STATUS_FACT, "")
    cls = _zato_class(error, status)
    if cls is None:
        return error
    translated = cls.__new__(cls)
    vars(translated).update(vars(error))
    translated.args = error.args
    translated.msg = error.message
    if isinstance(translated, StatusAwareException) and status.isdigit():
        translated.status = int(status)
    return translated


def _zato_class(error: CideryError, status: str) -> type[ZatoException] | None:
    """The class of a failure; `None` for those that Zato does not have, such as a cancellation."""
    by_reason = _BY_REASON.get(error.reason)
    if by_reason is not None and by_reason.kind is error.kind:
        return by_reason
    if error.reason == "INPUT_INVALID" and any(v.reason == "MISSING" for v in error.violations):
        return ElementMissing
    if error.kind is Kind.DEADLINE_EXCEEDED:
        return TimeoutException
    by_kind = _BY_KIND.get(error.kind)
    if by_kind is None or not status.isdigit():
        return by_kind
    by_status = _class_of(int(status))
    # A status that contradicts the kind: another program uses the fact differently.
    return by_status if by_status.kind is error.kind else by_kind


NAMES: dict[str, Any] = {
    "BackendInvocationError": BackendInvocationError,
    "BadRequest": BadRequest,
    "ClientHTTPError": Reportable,
    "Conflict": Conflict,
    "ConnectionException": ConnectionException,
    "ElementIsNotAList": ElementIsNotAList,
    "ElementMissing": ElementMissing,
    "Forbidden": Forbidden,
    "HTTPException": HTTPException,
    "Inactive": Inactive,
    "InternalServerError": InternalServerError,
    "MethodNotAllowed": MethodNotAllowed,
    "ModelValidationError": ModelValidationError,
    "NotFound": NotFound,
    "ParsingException": ParsingException,
    "RateLimitReached": RateLimitReached,
    "Reportable": Reportable,
    "RuntimeInvocationError": RuntimeInvocationError,
    "SerialisationError": SerialisationError,
    "ServiceMissingException": ServiceMissingException,
    "ServiceUnavailable": ServiceUnavailable,
    "StatusAwareException": StatusAwareException,
    "TimeoutException": TimeoutException,
    "TooManyRequests": TooManyRequests,
    "Unauthorized": Unauthorized,
    "ZatoException": ZatoException,
}
