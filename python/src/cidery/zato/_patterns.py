"""`self.patterns`: fan-out, parallel execution and invoke-retry, with Zato's names and signatures.

The first two are batches. Invoke-retry in the background is an invocation of a service of this
layer, `RETRY_SERVICE`, which invokes the target once in each of its attempts.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from cidery._errors.exceptions import CideryError
from cidery._protocol import operations
from cidery._protocol.batch import accept_batch
from cidery._protocol.cid import new_cid
from cidery._protocol.options import (
    Options,
    RetryPolicy,
    Seconds,
    seconds,
    service_name,
    service_names,
)
from cidery._protocol.steps import Operation
from cidery._service import nested_calls
from cidery._service.context import Caller
from cidery._service.log_context import CidLogger
from cidery.zato._arguments import is_empty
from cidery.zato._callback_inputs import idempotency_key
from cidery.zato._exceptions import ZatoException

RETRY_SERVICE = "zato.patterns.invoke-retry"
_MAX_KEY_BYTES = 255

Targets: TypeAlias = "Mapping[Any, Any] | Iterable[tuple[Any, Any]]"
"""Services with their payloads; with pairs a service may occur more than once."""


class ZatoCaller(Caller, Protocol):
    """A running service of Zato on whose behalf the patterns make calls."""

    logger: CidLogger

    @property
    def cid(self) -> str:
        """The CID of the invocation."""

    def _invoke_operation(
        self, service: Any, args: tuple[Any, ...], given: dict[str, Any]
    ) -> Operation[Any]:
        """The operation of `invoke` with Zato's parameters."""


class Patterns:
    """The patterns of a handler."""

    def __init__(self, caller: ZatoCaller) -> None:
        self.fanout = Fanout(caller)
        self.parallel = Parallel(caller)
        self.invoke_retry = InvokeRetry(caller)


class Fanout:
    """Invokes services in the background, with callbacks for each outcome and for all outcomes."""

    def __init__(self, caller: ZatoCaller) -> None:
        self._caller = caller

    def invoke(
        self, targets: Targets, on_final: Any, on_target: Any = None, cid: str | None = None
    ) -> Any:
        """Invokes the targets; `on_target` gets each outcome, `on_final` all of them.

        Returns a CID: the given one, in any form, or that of the group.
        """
        return self._caller._drive(_fan_out(self._caller, targets, on_target, on_final, cid))


class Parallel:
    """Invokes services in the background, with callbacks for each outcome."""

    def __init__(self, caller: ZatoCaller) -> None:
        self._caller = caller

    def invoke(self, targets: Targets, on_target: Any, cid: str | None = None) -> Any:
        """Invokes the targets; `on_target` gets each outcome. Returns a CID."""
        return self._caller._drive(_fan_out(self._caller, targets, on_target, None, cid))


def _fan_out(
    caller: ZatoCaller, targets: Targets, on_target: Any, on_final: Any, cid: str | None
) -> Operation[str]:
    pairs = targets.items() if isinstance(targets, Mapping) else targets
    members = [(each, {} if is_empty(payload) else payload) for each, payload in pairs]
    ids = _CallIds(caller, cid)
    accepted = yield from accept_batch(
        members,
        Options(),
        {
            "on_each": on_target,
            "on_final": on_final,
            "cid": ids.cid,
            "idempotency_key": ids.key,
        },
    )
    return ids.given or accepted.cid


class _CallIds:
    """The ids of a call: the CID for the node, and a key that contains a CID of any form."""

    def __init__(self, caller: ZatoCaller, given: str | None) -> None:
        self.given = given or ""
        is_cid = _is_cid(self.given)
        self.cid = self.given if is_cid else new_cid()
        self.key: str | None = idempotency_key(caller.service_name, self.given or self.cid)
        if len(self.key.encode()) > _MAX_KEY_BYTES and (is_cid or not given):
            # The key only identifies the caller here, and exceeds the limit.
            self.key = None


def _is_cid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


class InvokeRetry:
    """Invokes a service, and retries failures at a fixed interval."""

    def __init__(self, caller: ZatoCaller) -> None:
        self._caller = caller

    def invoke(
        self,
        target: Any,
        *args: Any,
        async_fallback: bool = False,
        callback: Any = None,
        context: Any = None,
        repeats: int | None = None,
        seconds: Seconds = 0,
        minutes: float = 0,
        cid: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Invokes a service and waits for its response; raises `ZatoException` after the last
        attempt.

        With `async_fallback` only the first attempt is synchronous. If it fails, the retries run in
        the background and their CID is returned; `callback` gets the outcome.
        """
        retry_call = _RetryCall(self._caller, target, args, kwargs, repeats, seconds, minutes, cid)
        if not async_fallback:
            return self._caller._drive(retry_call.run())
        retry_call.set_callbacks(callback, context)
        return self._caller._drive(retry_call.run_once_then_async())

    def invoke_async(
        self,
        target: Any,
        *args: Any,
        callback: Any = None,
        context: Any = None,
        repeats: int | None = None,
        seconds: Seconds = 0,
        minutes: float = 0,
        cid: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Invokes a service in the background; returns a CID.

        `callback` gets the outcome and `context`.
        """
        retry_call = _RetryCall(self._caller, target, args, kwargs, repeats, seconds, minutes, cid)
        retry_call.set_callbacks(callback, context)
        return self._caller._drive(retry_call.run_async())


class _RetryCall:
    """One call of `invoke_retry`: its arguments and attempts."""

    def __init__(
        self,
        caller: ZatoCaller,
        target: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        repeats: int | None,
        in_seconds: Seconds,
        in_minutes: float,
        cid: str | None,
    ) -> None:
        self._caller = caller
        self._target = service_name(target)
        self._args = args
        self._kwargs = kwargs
        self._request_time = utc_now()
        self._ids = _CallIds(caller, cid)
        self._callbacks: list[str] = []
        self._context: Any = None
        if not repeats or repeats < 1:
            raise self._invalid(f"`repeats` was not provided ({repeats})")
        self._repeats = repeats
        if in_seconds and in_minutes:
            only_one = f"only one of seconds:`{in_seconds}` and minutes:`{in_minutes}`"
            raise self._invalid(f"{only_one} can be given")
        if not in_seconds and not in_minutes:
            exactly_one = f"exactly one of seconds:`{in_seconds}` or minutes:`{in_minutes}`"
            raise self._invalid(f"{exactly_one} must be given")
        self._seconds = seconds(in_seconds) or in_minutes * 60

    def set_callbacks(self, callback: Any, context: Any) -> None:
        """Sets the callbacks and the context that they get."""
        if not callback:
            raise self._invalid(f"`callback` was not provided ({callback})")
        self._callbacks = service_names(callback)
        self._context = context

    def _invalid(self, why: str) -> ValueError:
        return ValueError(f"Could not invoke `{self._target}`, {why}")

    def run(self) -> Operation[Any]:
        """All attempts, synchronously."""
        number = 0
        while True:
            number += 1
            try:
                return (yield from self._call())
            except CideryError as error:
                self._log_failure(number, error)
                if number >= self._repeats:
                    raise ZatoException(self._caller.cid, self._limit_message(number)) from error
            yield from operations.sleep(self._seconds)

    def run_once_then_async(self) -> Operation[Any]:
        """The first attempt synchronously, the others in the background."""
        yield from self._check_names()
        try:
            return (yield from self._call())
        except CideryError as error:
            self._log_failure(1, error)
        return (yield from self._accept_retries(begun=1))

    def run_async(self) -> Operation[str]:
        """All attempts in the background."""
        yield from self._check_names()
        return (yield from self._accept_retries(begun=0))

    def _call(self) -> Operation[Any]:
        return self._caller._invoke_operation(self._target, self._args, self._kwargs)

    def _check_names(self) -> Operation[None]:
        """Checks that all services exist before anything is accepted."""
        for name in (self._target, *self._callbacks):
            yield from operations.describe(name)

    def _accept_retries(self, *, begun: int) -> Operation[str]:
        request = {
            "target": self._target,
            "args": self._args,
            "kwargs": self._kwargs,
            "callbacks": self._callbacks,
            "context": self._context,
            "source": self._caller.service_name,
            "orig_cid": self._caller.cid,
            "call_cid": self._ids.given or self._ids.cid,
            "seconds": self._seconds,
            "repeats": self._repeats,
            "begun": begun,
            "req_ts_utc": self._request_time,
        }
        options = Options(
            cid=self._ids.cid,
            idempotency_key=self._ids.key,
            delay=self._seconds if begun else None,
            retry_policy=RetryPolicy(
                max_attempts=max(self._repeats - begun, 1),
                initial_interval=self._seconds,
                multiplier=1.0,
                max_interval=self._seconds,
            ),
            # No default callback. The retry service invokes the callbacks itself when it fails.
            callback=(),
            failure_callback=RETRY_SERVICE,
        )
        cid = yield from nested_calls.invoke_async(self._caller, RETRY_SERVICE, request, options)
        return self._ids.given or str(cid)

    def _log_failure(self, number: int, error: CideryError) -> None:
        if self._caller._is_cancelled:
            raise error
        what = f"{self._description()}, {type(error).__name__}:`{error}`"
        message = f"({number}/{self._repeats}) Retry failed for:{what}"
        self._caller.logger.warning("%s", message)

    def _limit_message(self, number: int) -> str:
        return f"({number}/{self._repeats}) Retry limit reached for:{self._description()}"

    def _description(self) -> str:
        return f"`{self._target}`, retry_seconds:`{self._seconds}`, orig_cid:`{self._caller.cid}`"


def utc_now() -> str:
    """The current time in Zato's form: naive, in UTC."""
    utc_now = datetime.datetime.now(datetime.timezone.utc)
    return utc_now.replace(tzinfo=None).isoformat()
