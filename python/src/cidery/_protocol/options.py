"""The options of a call, named as in the contract and in the Rust SDK."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import enum
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from cidery._sio.model_declarations import requires_value
from cidery._sio.model_fields import type_name
from cidery.v1 import invocation_pb2, outcome_pb2

Seconds: TypeAlias = "float | datetime.timedelta"
DataFormatName: TypeAlias = Literal["dict", "json", "csv", "text", "form"]
OnDeadlineName: TypeAlias = Literal["cancel", "continue"]
OnExhaustedName: TypeAlias = Literal["fail", "hold"]

_Enum = TypeVar("_Enum", bound=enum.Enum)
_MAX_ATTEMPTS = 10_000


class DataFormat(str, enum.Enum):
    """How a value is encoded."""

    DICT = "dict"
    """A dict, a list or a scalar, without encoding."""
    JSON = "json"
    CSV = "csv"
    TEXT = "text"
    FORM = "form"
    """The fields of a form: `a=1&b=2`."""

    def to_proto(self) -> int:
        """The value of the contract's enum."""
        return int(outcome_pb2.DataFormat.Value(f"DATA_FORMAT_{self.name}"))

    @classmethod
    def from_proto(cls, number: int) -> DataFormat:
        """Decodes the contract's enum; `DICT` where it is unspecified."""
        return cls[outcome_pb2.DataFormat.Name(number)[12:]] if number else cls.DICT


class OnDeadline(str, enum.Enum):
    """What happens to a synchronous call when its deadline passes."""

    CANCEL = "cancel"
    """It is cancelled."""
    CONTINUE = "continue"
    """It is stored before it runs, and continues; the outcome is fetched by its CID."""


class OnExhausted(str, enum.Enum):
    """What happens to a background invocation when no attempt is left."""

    FAIL = "fail"
    """It fails."""
    HOLD = "hold"
    """It stays pending, in the dead-letter queue, until an operator retries or cancels it."""

    def to_proto(self) -> invocation_pb2.OnExhausted:
        """The value of the contract's enum."""
        return _ON_EXHAUSTED[self]


_ON_EXHAUSTED = {
    OnExhausted.FAIL: invocation_pb2.ON_EXHAUSTED_FAIL,
    OnExhausted.HOLD: invocation_pb2.ON_EXHAUSTED_HOLD,
}


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff with full jitter: the delay before a retry is random, up to
    `initial_interval` at first, multiplied by `multiplier` each time, at most `max_interval`."""

    max_attempts: int = 25
    """The maximum number of attempts, including the first one: from 1 to 10 000."""
    initial_interval: Seconds = 0.5
    """In seconds. A node waits at least a millisecond."""
    multiplier: float = 2.0
    """At least 1."""
    max_interval: Seconds = 600.0
    """In seconds."""

    def __post_init__(self) -> None:
        if type(self.max_attempts) is not int:
            raise TypeError(f"`max_attempts` is {self.max_attempts!r}, not an `int`")
        if not 1 <= self.max_attempts <= _MAX_ATTEMPTS:
            raise ValueError(
                f"`max_attempts` is {self.max_attempts}: a policy has from 1 to {_MAX_ATTEMPTS}"
                " attempts, including the first one"
            )
        if not 1 <= self.multiplier < math.inf:
            raise ValueError(f"`multiplier` is {self.multiplier}: it is a number of at least 1")
        for name in ("initial_interval", "max_interval"):
            if duration(getattr(self, name), name).ToNanoseconds() < 0:
                raise ValueError(f"`{name}` is {getattr(self, name)}: it is not negative")

    def to_proto(self) -> invocation_pb2.RetryPolicy:
        """Encodes it for the contract."""
        return invocation_pb2.RetryPolicy(
            max_attempts=self.max_attempts,
            initial_interval=duration(self.initial_interval, "initial_interval"),
            multiplier=self.multiplier,
            max_interval=duration(self.max_interval, "max_interval"),
        )


@dataclass(frozen=True)
class Options:
    """The options of a call."""

    timeout: Seconds | None = None
    """The time to wait, including retries; in the background, the timeout of an attempt, which each
    progress report restarts."""
    metadata: Mapping[str, str] | None = None
    cid: str | None = None
    idempotency_key: str | None = None
    on_deadline: OnDeadline | OnDeadlineName | None = None
    data_format: DataFormat | DataFormatName | None = None
    """The format of an input that is a string or bytes. A dict needs none."""
    response_format: DataFormat | DataFormatName | None = None
    # Options of background calls.
    delay: Seconds | None = None
    start_time: datetime.datetime | None = None
    expiration: Seconds | None = None
    deadline: datetime.datetime | None = None
    retry_policy: RetryPolicy | None = None
    on_exhausted: OnExhausted | OnExhaustedName | None = None
    concurrency_key: str | None = None
    callback: Any = None
    """The service or services to invoke with the response: names or classes."""
    failure_callback: Any = None
    """The service or services to invoke with the failure."""
    retention: Seconds | None = None
    # Options of calls that a handler makes.
    once: str | None = None
    """A label of this call: its invocation is accepted once, however often the handler is retried.
    """
    with_outcome: bool = False
    """Accepts the invocation together with the handler's response, or not at all if it fails."""

    def updated(self, given: Mapping[str, Any], valid: Iterable[str] | None = None) -> Options:
        """These options with changes; a `TypeError` for an unknown option, with the valid ones."""
        for name in given:
            if name not in OPTION_NAMES:
                raise TypeError(unknown_option(name, valid or OPTION_NAMES))
        for name, value in given.items():
            if (
                value is not None
                and name in _OPTION_TYPES
                and not isinstance(value, _OPTION_TYPES[name])
            ):
                kinds = " or ".join(f"`{kind.__name__}`" for kind in _OPTION_TYPES[name])
                raise TypeError(f"`{name}` is {value!r}, not a {kinds}")
            if value is not None and name in _OPTION_ENUMS:
                enum_value(_OPTION_ENUMS[name], value, name)
        return dataclasses.replace(self, **given) if given else self


OPTION_NAMES = frozenset(field_.name for field_ in dataclasses.fields(Options))

_DURATION_TYPES = (float, int, datetime.timedelta)
# Option types that protobuf would reject without naming the option, or convert silently.
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

_OPTION_ENUMS: dict[str, type[enum.Enum]] = {
    "data_format": DataFormat,
    "on_deadline": OnDeadline,
    "on_exhausted": OnExhausted,
    "response_format": DataFormat,
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


def enum_value(kind: type[_Enum], value: Any, name: str) -> _Enum:
    """The member of an enum by its value; a `ValueError` names the option and all values."""
    try:
        return kind(value)
    except ValueError:
        raise ValueError(not_one_of(value, name, [each.value for each in kind])) from None


def not_one_of(value: Any, name: str, values: Iterable[str]) -> str:
    """The message for a value that is none of those of an option."""
    return f"`{name}` is {value!r}, not one of {', '.join(f'`{each}`' for each in values)}"


def unknown_option(name: str, options: Iterable[str]) -> str:
    """The message for an unknown option."""
    names = sorted(options)
    closest = difflib.get_close_matches(name, names, 1)
    hint = f"; did you mean `{closest[0]}`?" if closest else ""
    return f"`{name}` is not an option{hint} (options: {', '.join(names)})"


def split_call(
    options: Options,
    service: Any,
    arguments: tuple[Any, ...],
    inline: Mapping[str, Any],
    *,
    reserved: frozenset[str],
    valid: Iterable[str],
) -> tuple[Options, Any]:
    """Splits the arguments of a call into options and payload.

    Keywords are options. Given only the name of a service they are the payload; a keyword of
    `reserved` is ambiguous then, and refused.
    """
    if len(arguments) > 1:
        count = len(arguments)
        raise TypeError(f"a call takes a service, one payload, and keywords: {count} were given")
    payload = arguments[0] if arguments else None
    if payload is not None or not isinstance(service, str):
        unknown = sorted(set(inline) - OPTION_NAMES)
        if unknown and payload is None:
            raise TypeError(
                f"`{unknown[0]}` is not an option: with a class or a function, the payload is an"
                f" argument, such as `({type_name(service)}, {{{unknown[0]!r}: ...}})`"
            )
        if payload is None:
            _refuse_missing_payload(service)
        return options.updated(inline, valid), {} if payload is None else payload
    ambiguous = sorted(reserved & set(inline))
    if ambiguous:
        name = ambiguous[0]
        raise TypeError(
            f"`{name}` without a payload is ambiguous: say `({{...}}, {name}=...)` or"
            f" `with_options({name}=...)` for the option, `{{{name!r}: ...}}` for the payload"
        )
    return options, dict(inline)


def _refuse_missing_payload(service: Any) -> None:
    declared = getattr(getattr(service, "service_class", service), "input", None)
    if requires_value(declared):
        raise TypeError(
            f"`{service_name(service)}` takes a payload of type `{type_name(declared)}`, and none"
            " is given"
        )


def refuse_background_options(options: Options) -> None:
    """Raises a `TypeError` for options of background calls."""
    for name in sorted(_BACKGROUND_ONLY):
        value = getattr(options, name)
        # Not by its truth: `delay=0` would be swallowed.
        if value is not None and value is not False:
            raise TypeError(f"`{name}` is an option of `invoke_async`, not of `invoke`")


def duration(value: Seconds, name: str = "the time") -> Duration:
    """Encodes seconds or a `timedelta`; `name` is the name of the option."""
    out = Duration()
    if isinstance(value, datetime.timedelta):
        out.FromTimedelta(value)
    elif not isinstance(value, (int, float)):
        raise TypeError(f"`{name}` is {value!r}: neither a number of seconds nor a `timedelta`")
    elif math.isfinite(value):
        out.FromNanoseconds(round(value * 1_000_000_000))
    else:
        raise ValueError(f"`{name}` is {value}: omit it for no limit")
    return out


def seconds(value: Seconds) -> float:
    """Converts seconds or a `timedelta` to seconds."""
    return value.total_seconds() if isinstance(value, datetime.timedelta) else float(value)


def timestamp(value: datetime.datetime, name: str = "the time") -> Timestamp:
    """Encodes an instant; a `datetime` without a time zone is refused as ambiguous."""
    if not isinstance(value, datetime.datetime):
        raise TypeError(f"`{name}` is {value!r}, not a `datetime`")
    if value.tzinfo is None:
        raise TypeError(
            f"`{name}` is {value.isoformat()}, which has no time zone: give one, as in"
            " `datetime.now(timezone.utc)`"
        )
    out = Timestamp()
    out.FromDatetime(value)
    return out


def service_name(service: Any) -> str:
    """The name of a service: a name, a class or a decorated function."""
    if isinstance(service, str):
        return service
    name = getattr(service, "service_name", None)
    if isinstance(name, str):
        return name
    given = f"`{type_name(service)}`" if hasattr(service, "__qualname__") else repr(service)
    raise TypeError(f"{given} is neither a service nor the name of one")


def service_names(services: Any) -> list[str]:
    """The names of one service or of several."""
    if services is None:
        return []
    if isinstance(services, str) or not isinstance(services, Iterable):
        return [service_name(services)]
    return [service_name(service) for service in services]
