"""Which stored invocations: keywords named like the fields of the contract's filter.

What is left out does not restrict; what is empty would not either, and is refused, so that nobody
cancels everything by a list that happens to be empty.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict

from cidery._protocol.options import service_names, timestamp
from cidery._protocol.results import State
from cidery.v1 import invocation_pb2, outcome_pb2


class FilterOptions(TypedDict, total=False):
    """What invocations have in common. Of each field, one of the values that are given."""

    services: Any
    """Names or classes; where it is one, it may stand alone."""
    states: State | str | Iterable[State | str]
    pending_reasons: str | Iterable[str]
    """Why they wait: `DUE_LATER`, `NO_WORKER`, …"""
    failure_reasons: str | Iterable[str]
    accepted_after: datetime.datetime
    """At or after it, as `ended_after`."""
    accepted_before: datetime.datetime
    ended_after: datetime.datetime
    ended_before: datetime.datetime
    parent_cid: str
    """Invoked by this one."""
    root_cid: str
    """Invoked by this one, or by one that it invoked."""
    group_cid: str


def build_filter(filters: Mapping[str, Any]) -> invocation_pb2.InvocationFilter | None:
    """The filter that keywords say; nothing where there are none."""
    given: dict[str, Any] = {}
    for name, value in filters.items():
        if name not in _CONVERTERS:
            raise TypeError(f"`{name}`: invocations are not chosen by it, but by {_FILTER_NAMES}")
        given[name] = None if value is None else _CONVERTERS[name](value)
        if not given[name]:
            raise ValueError(f"`{name}` is empty, and would let all through: leave it out")
    return invocation_pb2.InvocationFilter(**given) if given else None


def _texts(given: Any) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _states(given: Any) -> list[int]:
    return [outcome_pb2.State.Value(f"STATE_{State(each).value}") for each in _texts(given)]


def _reasons(given: Any) -> list[int]:
    value = outcome_pb2.PendingReason.Value
    return [value(f"PENDING_REASON_{each}") for each in _texts(given)]


_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "services": service_names,
    "states": _states,
    "pending_reasons": _reasons,
    "failure_reasons": _texts,
    "accepted_after": timestamp,
    "accepted_before": timestamp,
    "ended_after": timestamp,
    "ended_before": timestamp,
    "parent_cid": str,
    "root_cid": str,
    "group_cid": str,
}
_FILTER_NAMES = ", ".join(f"`{name}`" for name in _CONVERTERS)
