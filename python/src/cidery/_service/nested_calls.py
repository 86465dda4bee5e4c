"""Nested calls: the invocations that a handler makes."""

from __future__ import annotations

import contextlib
import hashlib
import time
from typing import TYPE_CHECKING, Any, ClassVar

from cidery._errors.exceptions import NotFound, Unavailable
from cidery._protocol import operations
from cidery._protocol.cid import new_cid
from cidery._protocol.messages import (
    Accepted,
    Response,
    invoke_async_request,
    invoke_request,
    read_response,
)
from cidery._protocol.options import Options, refuse_background_options, seconds, service_name
from cidery._protocol.retry import not_dispatched
from cidery._protocol.steps import Operation, UnaryCall

if TYPE_CHECKING:
    from cidery._service.context import Caller

_DEFAULT_CALLBACK_SUFFIX = "-async-callback"


def invoke(caller: Caller, service: Any, payload: Any, options: Options) -> Operation[Any]:
    """Invokes a service and waits for its response; returns the payload."""
    return (yield from invoke_for_response(caller, service, payload, options)).payload


def invoke_for_response(
    caller: Caller, service: Any, payload: Any, options: Options
) -> Operation[Response[Any]]:
    """Invokes a service and waits for its response."""
    refuse_options(options)
    request = invoke_request(service_name(service), payload, options)
    timeout = None if options.timeout is None else seconds(options.timeout)
    reply = yield UnaryCall("Invoke", request, timeout, not_dispatched(request.service))
    return read_response(reply.message, options, service)


def refuse_options(options: Options) -> None:
    """Raises a `TypeError` for options that a nested synchronous call does not have."""
    refuse_background_options(options)
    if options.cid is not None:
        raise TypeError("`cid`: a nested call of `invoke` has the CID of its caller")


def invoke_async(caller: Caller, service: Any, payload: Any, options: Options) -> Operation[Any]:
    """Invokes a service in the background, or stores a follow-up; returns its CID."""
    once_label = options.once
    if once_label is not None:
        key = once_key(caller, once_label)
        options = options.updated({"idempotency_key": key, "once": None})
    if options.callback is None and (yield from _has_default_callback(caller)):
        options = options.updated({"callback": caller.service_name + _DEFAULT_CALLBACK_SUFFIX})
    if options.with_outcome:
        name, accepted_before = service_name(service), None
        if options.idempotency_key:
            # The key may have been accepted before, under another CID.
            key = options.idempotency_key
            with contextlib.suppress(NotFound):
                accepted_before = yield from operations.get_invocation(
                    "", None, service=name, idempotency_key=key
                )
        options = options.updated({"cid": options.cid or new_cid()})
        # The node compares both requests.
        caller._platform.follow_up(invoke_async_request(name, payload, options))
        return (
            Accepted(accepted_before.cid, True) if accepted_before else Accepted(options.cid or "")
        )
    return (yield from operations.invoke_async(service, payload, options))


def _has_default_callback(caller: Caller) -> Operation[bool]:
    """Whether a service with the default callback name of this service exists."""
    name = caller.service_name + _DEFAULT_CALLBACK_SUFFIX
    if caller.service_name.endswith(_DEFAULT_CALLBACK_SUFFIX):
        return False
    if caller._platform.serves(name):
        return True
    is_served = _DefaultCallbacks.get(name)
    if is_served is None:
        try:
            yield from operations.describe(name)
            is_served = True
        except (NotFound, Unavailable):
            is_served = False
        _DefaultCallbacks.put(name, is_served)
    return is_served


class _DefaultCallbacks:
    """A cache of default callbacks, since a lookup costs a call."""

    _cache: ClassVar[dict[str, tuple[bool, float]]] = {}
    _TTL_SECONDS = 5.0

    @classmethod
    def get(cls, name: str) -> bool | None:
        is_served, since = cls._cache.get(name, (False, float("-inf")))
        return is_served if time.monotonic() - since < cls._TTL_SECONDS else None

    @classmethod
    def put(cls, name: str, is_served: bool) -> None:
        cls._cache[name] = (is_served, time.monotonic())


def once_key(caller: Caller, once_label: str) -> str:
    """The idempotency key of a call with a `once` label: equal in each attempt of the handler."""
    info = caller._info
    path = info.path
    # A path may exceed the length limit of a key.
    where = hashlib.sha256(path.encode()).hexdigest()[:32] if path else caller.service_name
    return f"once/{info.cid}/{where}/{once_label}"
