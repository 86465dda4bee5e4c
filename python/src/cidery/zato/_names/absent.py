"""What Zato has and the layer does not: placeholders that raise when they are used, and advice.

A name that is imported from Zato, and that the layer does not have, becomes a `Placeholder`: the
import succeeds, so that the other services of the file are served. A service that is declared with
it is refused; a handler that uses it fails. Each message names the layer, `check` and the page.
"""

from __future__ import annotations

import inspect
import sys
from types import FrameType
from typing import Any, ClassVar, NoReturn

_LAYER = "the compatibility layer of `--zato`"
_PAGE = "`python -m cidery check` lists such uses, and docs/from-zato.md what to write instead"

_LIBRARY = "a library of your own"
_BY_NAME = "services are called by name over any transport: `self.request.input`"
INSTEAD = {
    "amqp": _LIBRARY,
    "cache": f"{_LIBRARY}, such as `functools.lru_cache` or a Redis client",
    "chan": _BY_NAME,
    "channel": _BY_NAME,
    "commands": "`subprocess`",
    "config": "environment variables, or a configuration file",
    "crypto": f"{_LIBRARY}, such as `cryptography`",
    "definition": _LIBRARY,
    "email": "`smtplib`",
    "expose": _LIBRARY,
    "invoke_by_id": "`self.invoke(name)`",
    "invoke_by_impl_name": "`self.invoke(name)`",
    "job_type": "a field of the input",
    "kvdb": f"{_LIBRARY}, such as a Redis client",
    "lock": "`invoke_async(…, concurrency_key=…)`, or a lock of the database",
    "log_input": "`self.logger.info('%s', self.request.input)`",
    "log_output": "`self.logger.info('%s', self.response.payload)`",
    "metrics": "the metrics of the node (docs/metrics.md)",
    "new_instance": "`self.invoke(name)`",
    "odb": f"{_LIBRARY}, such as SQLAlchemy",
    "out": f"{_LIBRARY}, such as `requests`",
    "outgoing": f"{_LIBRARY}, such as `requests`",
    "publish": "`self.invoke_async(name)`",
    "pubsub": "`self.invoke_async(name)`, or a client of a broker",
    "redis": f"{_LIBRARY}, such as a Redis client",
    "rest": f"{_LIBRARY}, such as `requests`",
    "run_in_thread": "`self.invoke_async(name)`, or `threading`",
    "schedule": (
        "`self.invoke_async(name, payload, delay=seconds)` for a one-time job; recurring schedules"
        " are absent: a timer of the operating system that calls `cidery invoke`"
    ),
    "security": "`self.principal`, and the API keys of the node (docs/security.md)",
    "server": "`self.invoke(name)`: a node finds the worker",
    "servers": "`self.invoke(name)`: a node finds the worker",
    "slow_threshold": "the metrics of the node (docs/metrics.md)",
    "spawn": "`self.invoke_async(name)`, or `threading`",
    "static_config": "environment variables, or a configuration file",
    "time": "`datetime.datetime.now(datetime.timezone.utc)`",
    "usage": "the metrics of the node (docs/metrics.md)",
    "user_config": "environment variables, or a configuration file",
    "wsgi_environ": "`self.environ`, the metadata of the call",
}
"""The attributes of Zato's services that the layer does not have, and what to write instead."""

REQUEST_INSTEAD = {
    "amqp": _BY_NAME,
    "channel_params": "`self.request.input`",
    "encrypt_func": _LIBRARY,
    "hl7": _BY_NAME,
    "http": "`self.request.input` for parameters, `self.environ` for headers",
    "ibm_mq": _BY_NAME,
    "merge_channel_params": "`self.request.input`",
    "params_priority": "`self.request.input`",
    "soap": _BY_NAME,
    "transport": _BY_NAME,
    "wmq": _BY_NAME,
}
"""The attributes of `self.request` that the layer does not have."""

RESPONSE_INSTEAD = {
    "content_encoding": "`self.response.metadata`",
    "content_type": "`self.response.data_format`",
    "content_type_changed": "`self.response.data_format`",
    "result": "an exception of `zato.common.exception` for a failure",
    "result_details": "an exception of `zato.common.exception` for a failure",
    "status_code": "an exception of `zato.common.exception` for a failure",
    "status_message": "an exception of `zato.common.exception` for a failure",
}
"""The attributes of `self.response` that have no effect."""


def not_in_layer(what: str, instead: str = "") -> str:
    """The message for something that the layer does not have."""
    advice = f", use {instead}" if instead else ""
    return f"{what} is not in {_LAYER}{advice}; {_PAGE}"


def refuse_attribute(owner: str, name: str, advice: dict[str, str]) -> NoReturn:
    """Raises the `AttributeError` for an attribute that a service or its request does not have."""
    what = f"`{owner}.{name}`"
    if name in advice:
        raise AttributeError(not_in_layer(what, advice[name]), name=name)
    raise AttributeError(
        f"{what} is neither set nor in {_LAYER}; {_PAGE}",
        name=name,
    )


class Placeholder:
    """A name of Zato that the layer does not have.

    Where a module or a class is defined it can be called, read and derived from, which yields
    further placeholders. A function that uses it fails.
    """

    base: ClassVar[type] = object
    """What a class derives from that derives from a placeholder: a service that is refused."""

    def __init__(self, what: str) -> None:
        self._what = what

    @property
    def message(self) -> str:
        """Why it cannot be used."""
        return not_in_layer(self._what)

    def __repr__(self) -> str:
        return f"<{self.message}>"

    def __call__(self, *_: Any, **__: Any) -> Placeholder:
        return self._used(sys._getframe(1))

    def __getattr__(self, name: str) -> Placeholder:
        # Python asks for special names itself, for instance `__wrapped__`.
        if name.startswith("__"):
            raise AttributeError(name)
        return self._used(sys._getframe(1), f".{name}")

    def __getitem__(self, _: Any) -> Placeholder:
        return self._used(sys._getframe(1))

    def __or__(self, _: Any) -> Placeholder:
        return self

    __ror__ = __or__

    def __mro_entries__(self, _: tuple[Any, ...]) -> tuple[type, ...]:
        namespace = {"__module__": __name__, "_invalid": TypeError(self.message)}
        return (type("AbsentBase", (self.base,), namespace),)

    def _used(self, frame: FrameType, suffix: str = "") -> Placeholder:
        # The code of a module or of a class has no fast locals, unlike that of a function.
        if frame.f_code.co_flags & inspect.CO_OPTIMIZED:
            raise AttributeError(self.message)
        name, tick, rest = self._what[1:].partition("`")
        return Placeholder(f"`{name}{suffix}{tick}{rest}") if suffix else self
