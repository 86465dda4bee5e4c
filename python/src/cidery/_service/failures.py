"""Failures of handlers: what the caller gets, and what is logged."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from cidery._errors.exceptions import (
    Cancelled,
    CideryError,
    InvalidArgument,
    handler_failed,
    output_invalid,
)
from cidery._errors.kind import Kind

if TYPE_CHECKING:
    from types import TracebackType

E = TypeVar("E", bound=BaseException)

# The kinds that report an error in a service, not in the request of its caller.
_OWN_KINDS = frozenset({Kind.INTERNAL, Kind.UNKNOWN, Kind.DATA_LOSS})

_log = logging.getLogger("cidery.worker")
# Files whose frames come before and after those of a handler or of a module.
_INTERNAL_FILES = (
    str(Path(__file__).parents[1]) + os.sep,
    str(Path(asyncio.__file__).parent) + os.sep,
    str(Path(concurrent.futures.__file__).parent) + os.sep,
    "<frozen importlib",
)


def failure_from_exception(
    error: BaseException, service: str, cid: str, *, has_attempts_left: bool = False
) -> CideryError:
    """The failure that the caller gets for an exception. The traceback is only logged.

    A failure that is retried is a warning, and an error once no attempt is left.
    """
    if isinstance(error, CideryError):
        log_own_failure(error, service, cid, has_attempts_left=has_attempts_left)
        return error
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt)):
        return Cancelled("CANCELLED", "the service was cancelled")
    begin_at_user_frame(error)
    # The message has both as well: the log format of a program may omit the fields.
    extra = {"cid": cid, "service": service}
    failure = handler_failed(error)
    level = _level(failure, has_attempts_left=has_attempts_left)
    _log.log(level, "`%s` failed, CID %s", service, cid, exc_info=error, extra=extra)
    return failure


def _level(failure: CideryError, *, has_attempts_left: bool) -> int:
    return logging.WARNING if has_attempts_left and failure.is_retryable else logging.ERROR


def log_own_failure(
    error: CideryError, service: str, cid: str, *, has_attempts_left: bool = False
) -> None:
    """Logs a failure that the author of the service has to fix, and no caller: a broken output, an
    invalid call of another service, or a failure that the service reports as internal."""
    refused_by = error.facts.get("service") if _is_refusal(error) else None
    if error.kind not in _OWN_KINDS and refused_by is None:
        return
    what = f"{error.reason}: {error.message}"
    if refused_by is not None:
        what = f"it made an invalid call of `{refused_by}`: {what}"
    # A single one is the message.
    several = error.violations if len(error.violations) > 1 else ()
    lines = "".join(f"\n  {violation}" for violation in several)
    begin_at_user_frame(error)
    frame = error.__traceback__
    has_user_frame = frame is not None and not _is_internal(frame)
    if has_user_frame:
        end_at_user_frame(error)
    _log.log(
        _level(error, has_attempts_left=has_attempts_left),
        "`%s` failed, CID %s: %s%s",
        service,
        cid,
        what,
        lines,
        exc_info=error if has_user_frame else None,
        extra={"cid": cid, "service": service},
    )


def _is_refusal(error: CideryError) -> bool:
    """Whether a node refused a call because of its service or its input."""
    return error.reason == "SERVICE_UNKNOWN" or error.kind is Kind.INVALID_ARGUMENT


def begin_at_user_frame(error: E) -> E:
    """Removes the frames of the SDK that precede those of the user from the tracebacks of an
    exception and of the exceptions that led to it."""
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        each = chain.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = _user_traceback(each)
            chain += [each.__cause__, each.__context__]
    return error


def end_at_user_frame(error: E) -> E:
    """Removes the frames of the SDK that follow the last one of the user, such as those of a
    declaration that it refuses."""
    last = frame = error.__traceback__
    while frame is not None:
        if not _is_internal(frame):
            last = frame
        frame = frame.tb_next
    if last is not None and not _is_internal(last):
        last.tb_next = None
    return error


def _user_traceback(error: BaseException) -> TracebackType | None:
    """The part from the first frame of the user; all of it if there is none."""
    frame = error.__traceback__
    while frame is not None and _is_internal(frame):
        frame = frame.tb_next
    if frame is None and isinstance(error, SyntaxError):
        # Its message has the line of the file that cannot be compiled: no frame is of the user.
        return None
    return frame or error.__traceback__


def _is_internal(traceback: TracebackType) -> bool:
    return traceback.tb_frame.f_code.co_filename.startswith(_INTERNAL_FILES)


def output_not_serializable(error: TypeError | InvalidArgument) -> CideryError:
    """The failure for a response that cannot be encoded."""
    if isinstance(error, InvalidArgument):
        return output_invalid(error.message, error.violations)
    return output_invalid(str(error))
