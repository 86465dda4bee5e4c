"""Zato's exceptions, each with the kind of failure of its HTTP status.

Failures of nested calls are raised as these classes. Each derives from a class of this SDK as well,
so that either can be caught.
"""

from __future__ import annotations

from typing import Any

from cidery._errors.exceptions import (
    AlreadyExists,
    CideryError,
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
    """Converts a failure to Zato's class for its kind; unchanged if there is none.

    Timeouts and cancellation stay as they are: in Zato, `except Reportable` does not catch them.
    """
    if isinstance(error, ZatoException) or error.kind not in _BY_KIND:
        return error
    status = error.facts.get(_STATUS_FACT, "")
    cls = _class_of(int(status)) if status.isdigit() else _BY_KIND[error.kind]
    if cls.kind is not error.kind:
        # The status contradicts the kind: another program uses the fact differently.
        cls = _BY_KIND[error.kind]
    translated = cls.__new__(cls)
    vars(translated).update(vars(error))
    translated.args = error.args
    translated.msg = error.message
    if status.isdigit():
        translated.status = int(status)
    return translated


NAMES: dict[str, Any] = {
    "BadRequest": BadRequest,
    "ClientHTTPError": Reportable,
    "Conflict": Conflict,
    "Forbidden": Forbidden,
    "HTTPException": HTTPException,
    "InternalServerError": InternalServerError,
    "MethodNotAllowed": MethodNotAllowed,
    "NotFound": NotFound,
    "Reportable": Reportable,
    "ServiceUnavailable": ServiceUnavailable,
    "StatusAwareException": StatusAwareException,
    "TooManyRequests": TooManyRequests,
    "Unauthorized": Unauthorized,
    "ZatoException": ZatoException,
}
