"""What a call can ask for beyond its input, the same words as in the contract and in Rust."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from cidery.v1 import invocation_pb2, outcome_pb2

Seconds: TypeAlias = "float | datetime.timedelta"


class DataFormat(str, enum.Enum):
    """How a value is written."""

    DICT = "dict"
    """A dict, a list or a scalar, as it is."""
    JSON = "json"
    CSV = "csv"
    TEXT = "text"

    def to_proto(self) -> int:
        """The number of the contract."""
        return int(outcome_pb2.DataFormat.Value(f"DATA_FORMAT_{self.name}"))

    @classmethod
    def from_proto(cls, number: int) -> DataFormat:
        """Reads the number of the contract; `DICT` where none is said."""
        return cls[outcome_pb2.DataFormat.Name(number)[12:]] if number else cls.DICT


class OnDeadline(str, enum.Enum):
    """What happens to a call that waits when its deadline passes."""

    CANCEL = "cancel"
    """It is cancelled with its caller."""
    CONTINUE = "continue"
    """It was accepted durably before it began, and goes on; its outcome is there by its CID."""


class OnExhausted(str, enum.Enum):
    """What happens to an invocation in the background when no attempt is left."""

    FAIL = "fail"
    """It fails."""
    HOLD = "hold"
    """It stays pending until someone retries or cancels it."""


@dataclass(frozen=True)
class RetryPolicy:
    """How failed attempts are repeated: after `initial_interval`, then `multiplier` times longer
    each time, at most `max_interval`, each wait a random part of that."""

    max_attempts: int = 25
    """How many attempts there are in all, the first one included."""
    initial_interval: Seconds = 0.5
    multiplier: float = 2.0
    max_interval: Seconds = 600.0

    def to_proto(self) -> invocation_pb2.RetryPolicy:
        """As the contract writes it."""
        return invocation_pb2.RetryPolicy(
            max_attempts=self.max_attempts,
            initial_interval=duration(self.initial_interval, "initial_interval"),
            multiplier=self.multiplier,
            max_interval=duration(self.max_interval, "max_interval"),
        )


@dataclass(frozen=True)
class Options:
    """The options of one call."""

    timeout: Seconds | None = None
    """How long to wait; in the background, how long an attempt may last since its last sign of
    life."""
    metadata: Mapping[str, str] | None = None
    cid: str | None = None
    idempotency_key: str | None = None
    on_deadline: OnDeadline | str | None = None
    data_format: DataFormat | str | None = None
    """Of an input that is text or bytes. A dict sent as JSON is simply a dict."""
    response_format: DataFormat | str | None = None
    # From here on, of calls in the background.
    delay: Seconds | None = None
    start_time: datetime.datetime | None = None
    expiration: Seconds | None = None
    deadline: datetime.datetime | None = None
    retry_policy: RetryPolicy | None = None
    on_exhausted: OnExhausted | str | None = None
    concurrency_key: str | None = None
    callback: Any = None
    """The service, or the services, invoked with the response: names or classes."""
    failure_callback: Any = None
    """The service, or the services, invoked with the failure."""
    retention: Seconds | None = None
    # From here on, of calls that a handler makes.
    once: str | None = None
    """Has the child accepted once, however often the handler is attempted; tells it from others."""
    with_outcome: bool = False
    """Accepts it together with the handler's response, and not at all where that fails."""

    def updated(self, given: Mapping[str, Any]) -> Options:
        """These options and others; a `TypeError` for what is none."""
        unknown = sorted(set(given) - OPTION_NAMES)
        if unknown:
            names = ", ".join(f"`{name}`" for name in unknown)
            raise TypeError(f"{names}: no such option; with a payload, keywords are options")
        for name, value in given.items():
            if (
                value is not None
                and name in _OPTION_TYPES
                and not isinstance(value, _OPTION_TYPES[name])
            ):
                kinds = " or ".join(f"`{kind.__name__}`" for kind in _OPTION_TYPES[name])
                raise TypeError(f"`{name}` is {value!r}, and no {kinds}")
        return dataclasses.replace(self, **given) if given else self


OPTION_NAMES = frozenset(field_.name for field_ in dataclasses.fields(Options))

_DURATION_TYPES = (float, int, datetime.timedelta)
# Of what protobuf would refuse, or take for something else, without saying which option it was.
_OPTION_TYPES: dict[str, tuple[type, ...]] = {
    "cid": (str,),
    "concurrency_key": (str,),
    "deadline": (datetime.datetime,),
    "delay": _DURATION_TYPES,
    "expiration": _DURATION_TYPES,
    "idempotency_key": (str,),
    "metadata": (Mapping,),
    "once": (str,),
    "retention": _DURATION_TYPES,
    "retry_policy": (RetryPolicy,),
    "start_time": (datetime.datetime,),
    "timeout": _DURATION_TYPES,
}

_BACKGROUND_ONLY = OPTION_NAMES - {
    "timeout",
    "metadata",
    "cid",
    "idempotency_key",
    "on_deadline",
    "data_format",
    "response_format",
}


def split_call(
    options: Options, payload: Any, inline: Mapping[str, Any], *, reserved: frozenset[str]
) -> tuple[Options, Any]:
    """The options and the payload of a call: keywords are the payload where there is no other.

    A keyword that is one of `reserved` could be meant either way, and is refused without a payload.
    """
    if payload is not None:
        return options.updated(inline), payload
    ambiguous = sorted(reserved & set(inline))
    if ambiguous:
        name = ambiguous[0]
        raise TypeError(
            f"`{name}` without a payload is ambiguous: say `({{...}}, {name}=...)` or"
            f" `with_options({name}=...)` for the option, `{{{name!r}: ...}}` for the payload"
        )
    return options, dict(inline)


def refuse_background_options(options: Options) -> None:
    """A call that waits has no options of calls in the background."""
    for name in sorted(_BACKGROUND_ONLY):
        if getattr(options, name):
            raise TypeError(f"`{name}` is an option of `invoke_async`, not of `invoke`")


def duration(value: Seconds, name: str = "the time") -> Duration:
    """Seconds or a `timedelta`, as the contract writes it; `name` is what it is called."""
    out = Duration()
    if isinstance(value, datetime.timedelta):
        out.FromTimedelta(value)
    elif not isinstance(value, (int, float)):
        raise TypeError(f"`{name}` is {value!r}: neither a number of seconds nor a `timedelta`")
    elif math.isfinite(value):
        out.FromNanoseconds(round(value * 1_000_000_000))
    else:
        raise ValueError(f"`{name}` is {value}: leave it out where there is no limit")
    return out


def seconds(value: Seconds) -> float:
    """Seconds, of either."""
    return value.total_seconds() if isinstance(value, datetime.timedelta) else float(value)


def timestamp(value: datetime.datetime) -> Timestamp:
    """An instant, as the contract writes it. Without a time zone nobody knows which one it is."""
    if value.tzinfo is None:
        raise TypeError(f"{value!r} has no time zone, and is no instant without one")
    out = Timestamp()
    out.FromDatetime(value)
    return out


def service_name(service: Any) -> str:
    """The name of a service that is given by name, as a class or as a decorated function."""
    if isinstance(service, str):
        return service
    name = getattr(service, "service_name", None)
    if isinstance(name, str):
        return name
    raise TypeError(f"{service!r} is neither a service nor the name of one")


def service_names(services: Any) -> list[str]:
    """The names of one service or of several."""
    if services is None:
        return []
    if isinstance(services, str) or not isinstance(services, Iterable):
        return [service_name(services)]
    return [service_name(service) for service in services]
