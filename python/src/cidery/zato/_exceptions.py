"""The model's exceptions, each the kind of failure that its HTTP status means."""

from __future__ import annotations

from typing import Any, ClassVar

from cidery._errors import (
    AlreadyExists,
    CideryError,
    Internal,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)


class _Said(CideryError):
    """Takes a CID and a message, as the model's exceptions do."""

    status: ClassVar[int] = 500

    def __init__(self, cid: str = "", msg: Any = "", *_: Any, **__: Any) -> None:
        # The CID of a failure is that of its invocation, which the node says.
        message = str(msg) if msg else type(self).__name__
        super().__init__(message)
        self.msg = msg


class ZatoException(_Said, Internal):
    """A failure of no other kind."""


class BadRequest(_Said, InvalidArgument):
    """400."""

    status = 400


class Unauthorized(_Said, Unauthenticated):
    """401."""

    status = 401


class Forbidden(_Said, PermissionDenied):
    """403."""

    status = 403


class NotFoundHTTP(_Said, NotFound):
    """404."""

    status = 404


class MethodNotAllowed(_Said, Unimplemented):
    """405."""

    status = 405


class Conflict(_Said, AlreadyExists):
    """409."""

    status = 409


class TooManyRequests(_Said, ResourceExhausted):
    """429."""

    status = 429


class InternalServerError(_Said, Internal):
    """500."""


class ServiceUnavailable(_Said, Unavailable):
    """503."""

    status = 503


NAMES: dict[str, Any] = {
    "BadRequest": BadRequest,
    "Conflict": Conflict,
    "Forbidden": Forbidden,
    "InternalServerError": InternalServerError,
    "MethodNotAllowed": MethodNotAllowed,
    "NotFound": NotFoundHTTP,
    "Reportable": CideryError,
    "ServiceUnavailable": ServiceUnavailable,
    "TooManyRequests": TooManyRequests,
    "Unauthorized": Unauthorized,
    "ZatoException": ZatoException,
}
