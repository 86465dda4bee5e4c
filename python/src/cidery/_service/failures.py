"""Failures of handlers: what the caller gets, and what is logged."""

from __future__ import annotations

import asyncio
import logging

from cidery._errors.exceptions import (
    Cancelled,
    CideryError,
    InvalidArgument,
    handler_failed,
    output_invalid,
)

_log = logging.getLogger("cidery.worker")


def failure_from_exception(error: BaseException, service: str, cid: str) -> CideryError:
    """The failure that the caller gets for an exception. The traceback is only logged."""
    if isinstance(error, CideryError):
        return error
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
        return Cancelled("the service was cancelled", reason="CANCELLED")
    # The message has both as well: the log format of a program may omit the fields.
    extra = {"cid": cid, "service": service}
    _log.error("`%s` failed, CID %s", service, cid, exc_info=error, extra=extra)
    return handler_failed(error)


def output_not_serializable(error: TypeError | InvalidArgument) -> CideryError:
    """The failure for a response that cannot be encoded."""
    if isinstance(error, InvalidArgument):
        return output_invalid(error.message, error.violations)
    return output_invalid(str(error))
