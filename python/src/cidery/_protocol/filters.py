"""Filters of stored invocations: keywords named like the fields of the contract's filter.

An omitted keyword does not restrict. An empty one is refused: it would match everything, and an
accidentally empty list must not cancel all invocations. `filter_expression` is the filter as text,
instead of the other keywords.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias, TypedDict, get_args

from cidery._protocol.options import enum_value, not_one_of, service_names, timestamp
from cidery._protocol.results import State, StateName
from cidery.v1 import invocation_pb2, outcome_pb2

PendingReason: TypeAlias = Literal[
    "DUE_LATER",
    "QUEUED",
    "BACKOFF",
    "NO_WORKER",
    "NO_COMPATIBLE_WORKER",
    "KEY_BUSY",
    "PAUSED",
    "HELD",
]
_PENDING_REASONS: tuple[PendingReason, ...] = get_args(PendingReason)


class FilterOptions(TypedDict, total=False):
    """The keywords of a filter. A field matches any of its values."""

    services: Any
    """Names or classes; a single one needs no list."""
    states: State | StateName | Iterable[State | StateName]
    pending_reasons: PendingReason | Iterable[PendingReason]
    """Why they are pending: `DUE_LATER`, `NO_WORKER`, …"""
    failure_reasons: str | Iterable[str]
    failure_text: str
    """Part of the message of the last failure, in any case of its letters."""
    metadata: Mapping[str, str]
    """Entries of the metadata: all of them match."""
    dead_letter: Literal[True]
    """Held, or failed and not retried since."""
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
    groups_only: Literal[True]
    """Groups, without their members: not with `services=`."""
    filter_expression: str
    """The filter as text, such as `service = customer.get AND state = FAILED`."""


def set_filter(request: Any, filters: Mapping[str, Any]) -> None:
    """Sets the filter of a request, by keywords or as text."""
    expression = filters.get("filter_expression")
    if "filter_expression" not in filters:
        built = build_filter(filters)
        if built is not None:
            request.filter.CopyFrom(built)
        return
    if len(filters) > 1:
        raise TypeError("`filter_expression` cannot be combined with other filters")
    if not _text(expression, "filter_expression").strip():
        raise ValueError("`filter_expression` is empty and would match everything: omit it")
    request.filter_expression = expression


def build_filter(filters: Mapping[str, Any]) -> invocation_pb2.InvocationFilter | None:
    """Builds a filter from keywords; `None` without any."""
    given: dict[str, Any] = {}
    for name, value in filters.items():
        if name not in _CONVERTERS:
            raise TypeError(f"`{name}`: unknown filter; the filters are {_FILTER_NAMES}")
        given[name] = None if value is None else _CONVERTERS[name](value, name)
        if not given[name]:
            raise ValueError(f"`{name}` is empty and would match everything: omit it")
    return invocation_pb2.InvocationFilter(**given) if given else None


def refuse_no_selection(cids: Sequence[str], filters: Mapping[str, Any]) -> None:
    """Raises a `TypeError` unless invocations are selected by their CIDs or by a filter."""
    if not cids and not filters:
        raise TypeError(
            f"give CIDs, or filters such as `services=`; the filters are {_FILTER_NAMES}"
        )
    if cids and filters:
        raise TypeError("give CIDs or filters, not both")


def refuse_no_filter(filters: Mapping[str, Any]) -> None:
    """Raises a `TypeError` unless there is a filter."""
    if not filters:
        raise TypeError(f"give filters such as `services=`; the filters are {_FILTER_NAMES}")


def _texts(given: Any, name: str) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _text(given: Any, name: str) -> str:
    if not isinstance(given, str):
        raise TypeError(f"`{name}` is {given!r}, not a `str`")
    return given


def _entries(given: Any, name: str) -> dict[str, str]:
    entries = dict(given)
    for key, value in entries.items():
        _text(key, name)
        _text(value, name)
    return entries


def _true(given: Any, name: str) -> bool:
    if given is not True:
        raise ValueError(f"`{name}` is {given!r}, not `True`: omit it")
    return True


def _services(given: Any, name: str) -> list[str]:
    return service_names(given)


def _states(given: Any, name: str) -> list[int]:
    states = [enum_value(State, each, name) for each in _texts(given, name)]
    return [outcome_pb2.State.Value(f"STATE_{state.value}") for state in states]


def _reasons(given: Any, name: str) -> list[int]:
    value = outcome_pb2.PendingReason.Value
    reasons = _texts(given, name)
    for reason in reasons:
        if reason not in _PENDING_REASONS:
            raise ValueError(not_one_of(reason, name, _PENDING_REASONS))
    return [value(f"PENDING_REASON_{reason}") for reason in reasons]


_CONVERTERS: dict[str, Callable[[Any, str], Any]] = {
    "services": _services,
    "states": _states,
    "pending_reasons": _reasons,
    "failure_reasons": _texts,
    "failure_text": _text,
    "metadata": _entries,
    "dead_letter": _true,
    "accepted_after": timestamp,
    "accepted_before": timestamp,
    "ended_after": timestamp,
    "ended_before": timestamp,
    "parent_cid": _text,
    "root_cid": _text,
    "group_cid": _text,
    "groups_only": _true,
}
_FILTER_NAMES = ", ".join(f"`{name}`" for name in (*_CONVERTERS, "filter_expression"))
