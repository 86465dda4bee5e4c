"""Nested calls: what a handler invokes, on behalf of its own invocation."""

from __future__ import annotations

import contextlib
import hashlib
import time
from typing import TYPE_CHECKING, Any, ClassVar

from cidery._errors.exceptions import NotFound, Unavailable
from cidery._protocol import operations as protocol
from cidery._protocol.cid import new_cid
from cidery._protocol.messages import (
    Accepted,
    invoke_async_request,
    invoke_request,
    read_response,
)
from cidery._protocol.options import Options, refuse_background, service_name
from cidery._protocol.retry import never_began
from cidery._protocol.steps import Steps, Unary

if TYPE_CHECKING:
    from cidery._service.context import Caller

_CALLBACK = "-async-callback"


def invoke(caller: Caller, service: Any, payload: Any, options: Options) -> Steps[Any]:
    refuse_background(options)
    request = invoke_request(service_name(service), payload, options)
    answer = yield Unary("Invoke", request, None, never_began(request.service))
    return read_response(answer.message, options).payload


def invoke_async(caller: Caller, service: Any, payload: Any, options: Options) -> Steps[Any]:
    label = options.once
    if label is not None:
        key = once_key(caller, label)
        options = options.updated({"idempotency_key": key, "once": None})
    if options.callback is None and (yield from _has_convention(caller)):
        options = options.updated({"callback": caller.service_name + _CALLBACK})
    if options.with_outcome:
        name, first = service_name(service), None
        if options.idempotency_key:
            # What was accepted before with the key has another CID than this would get.
            key = options.idempotency_key
            with contextlib.suppress(NotFound):
                first = yield from protocol.get("", None, service=name, idempotency_key=key)
        options = options.updated({"cid": options.cid or new_cid()})
        # The node says whether it is the same.
        caller._platform.follow_up(invoke_async_request(name, payload, options))
        return Accepted(first.cid, True) if first else Accepted(options.cid or "")
    return (yield from protocol.invoke_async(service, payload, options))


def _has_convention(caller: Caller) -> Steps[bool]:
    """Whether there is a callback for this service by its name."""
    name = caller.service_name + _CALLBACK
    if caller.service_name.endswith(_CALLBACK):
        return False
    if caller._platform.serves(name):
        return True
    known = _Convention.of(name)
    if known is None:
        try:
            yield from protocol.describe(name)
            known = True
        except (NotFound, Unavailable):
            known = False
        _Convention.note(name, known)
    return known


class _Convention:
    """Which callbacks there are by convention, for a while: asking each time costs a call."""

    _known: ClassVar[dict[str, tuple[bool, float]]] = {}
    _SECONDS = 5.0

    @classmethod
    def of(cls, name: str) -> bool | None:
        known, since = cls._known.get(name, (False, float("-inf")))
        return known if time.monotonic() - since < cls._SECONDS else None

    @classmethod
    def note(cls, name: str, known: bool) -> None:
        cls._known[name] = (known, time.monotonic())


def once_key(caller: Caller, label: str) -> str:
    """The key of what is accepted once, however often a handler is attempted."""
    facts = caller._facts
    path = facts.path
    # A path may be longer than a key.
    where = hashlib.sha256(path.encode()).hexdigest()[:32] if path else caller.service_name
    return f"once/{facts.cid}/{where}/{label}"
