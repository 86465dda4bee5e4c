"""Filters of stored invocations: keywords named like the fields of the contract's filter.

An omitted keyword does not restrict. An empty one is refused: it would match everything, and an
accidentally empty list must not cancel all invocations.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict

from cidery._protocol.options import service_names, timestamp
from cidery._protocol.results import State
from cidery.v1 import invocation_pb2, outcome_pb2


class FilterOptions(TypedDict, total=False):
    """The keywords of a filter. A field matches any of its values."""

    services: Any
    """Names or classes; a single one needs no list."""
    states: State | str | Iterable[State | str]
    pending_reasons: str | Iterable[str]
    """Why they are pending: `DUE_LATER`, `NO_WORKER`, …"""
    failure_reasons: str | Iterable[str]
    accepted_after: datetime.datetime
    """Inclusive, like `ended_after`."""
    accepted_before: datetime.datetime
    ended_after: datetime.datetime
    ended_before: datetime.datetime
    parent_cid: str
    """The CID of the direct parent."""
    root_cid: str
    """The CID of the root of the call chain."""
    group_cid: str


def build_filter(filters: Mapping[str, Any]) -> invocation_pb2.InvocationFilter | None:
    """Builds a filter from keywords; `None` without any."""
    given: dict[str, Any] = {}
    for name, value in filters.items():
        if name not in _CONVERTERS:
            raise TypeError(f"`{name}`: unknown filter; the filters are {_FILTER_NAMES}")
        given[name] = None if value is None else _CONVERTERS[name](value)
        if not given[name]:
            raise ValueError(f"`{name}` is empty and would match everything: omit it")
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
