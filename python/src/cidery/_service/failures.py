"""Failures of handlers: what callers get of an exception, and what the log gets."""

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
    """What callers get of what a handler raised. The traceback is for the log."""
    if isinstance(error, CideryError):
        return error
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
        return Cancelled("the service was cancelled", reason="CANCELLED")
    # In the text as well: the format of a program's own log may not have them.
    extra = {"cid": cid, "service": service}
    _log.error("`%s` failed, CID %s", service, cid, exc_info=error, extra=extra)
    return handler_failed(error)


def output_not_serializable(error: TypeError | InvalidArgument) -> CideryError:
    """What callers get of a response that no message can hold."""
    if isinstance(error, InvalidArgument):
        return output_invalid(error.message, error.violations)
    return output_invalid(str(error))
