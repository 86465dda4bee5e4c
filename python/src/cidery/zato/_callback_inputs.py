"""What a service of the model is told of a fan-out, out of what a node tells.

A node tells neither who fanned out nor which names were given: both are read from the group, once
in a process. Where that cannot be read, for it is no longer kept, they are left out.
"""

from __future__ import annotations

import dataclasses
import datetime
import threading
from typing import TYPE_CHECKING, Any

from cidery._errors.exceptions import CideryError
from cidery._protocol import operations as protocol
from cidery._protocol.steps import Steps

if TYPE_CHECKING:
    from cidery._protocol.results import Invocation
    from cidery._service.context import Facts

_KEY = "zato"
_MOST_GROUPS = 1_000


def key_of(source: str, cid: str) -> str:
    """The idempotency key of what a service asks for under a CID of any form: it names both."""
    return f"{_KEY}/{source}/{cid}"


def translated(facts: Facts) -> Steps[Facts]:
    """The facts as the model's services read them."""
    told = facts.raw
    if not facts.in_reply_to or not isinstance(told, dict):
        return facts
    if told.get("cid") == facts.in_reply_to and {"group_cid", "position", "state"} <= told.keys():
        group = yield from _group(told["group_cid"])
        return dataclasses.replace(facts, raw=_of_target(told, group))
    if told.get("group_cid") == facts.in_reply_to and "outcomes" in told:
        group = yield from _group(told["group_cid"])
        return dataclasses.replace(facts, raw=_of_all(told, group, facts.service))
    return facts


@dataclasses.dataclass(frozen=True)
class _Group:
    """What is known of a fan-out beyond what is told."""

    cid: str
    """What whoever fanned out knows it by."""
    source: str = ""
    on_target: tuple[str, ...] = ()
    on_final: tuple[str, ...] = ()
    accept_time: datetime.datetime | None = None

    @classmethod
    def of(cls, found: Invocation) -> _Group:
        kind, _, rest = found.message.idempotency_key.partition("/")
        source, _, cid = rest.partition("/")
        return cls(
            cid=cid if kind == _KEY and cid else found.cid,
            source=source if kind == _KEY else "",
            on_target=tuple(found.message.group.on_each),
            on_final=tuple(found.message.group.on_final),
            accept_time=found.accept_time,
        )


class _Groups:
    """The groups that were looked at last."""

    def __init__(self) -> None:
        self._known: dict[str, _Group] = {}
        self._lock = threading.Lock()

    def find(self, cid: str) -> _Group | None:
        with self._lock:
            return self._known.get(cid)

    def note(self, cid: str, group: _Group) -> None:
        with self._lock:
            while len(self._known) >= _MOST_GROUPS:
                del self._known[next(iter(self._known))]
            self._known[cid] = group


_groups = _Groups()


def _group(cid: str) -> Steps[_Group]:
    known = _groups.find(cid)
    if known is None:
        try:
            known = _Group.of((yield from protocol.get(cid, None)))
        except CideryError:
            # What is told counts more than what is not known.
            return _Group(cid)
        _groups.note(cid, known)
    return known


def _of_target(told: dict[str, Any], group: _Group) -> dict[str, Any]:
    error = told.get("error")
    ok = told["state"] == "SUCCEEDED"
    payload = {
        "phase": "on-target",
        "cid": group.cid,
        "source": group.source,
        "target": told["service"],
        "ok": ok,
        "response": told.get("response"),
        "exception": None if error is None else f"{error['reason']}: {error['message']}",
        "req_ts_utc": _time(told["accept_time"]).isoformat(),
        "resp_ts_utc": _time(told["end_time"]).isoformat(),
    }
    return _with_truncated(payload, told)


def _of_all(told: dict[str, Any], group: _Group, service: str) -> dict[str, Any]:
    outcomes = told["outcomes"]
    at = group.accept_time and group.accept_time.replace(tzinfo=None)
    if at is None and outcomes:
        # They were all accepted at once.
        at = _time(outcomes[0]["accept_time"])
    payload = {
        "phase": "on-final",
        "source": group.source,
        "req_ts_utc": at,
        "on_target": list(group.on_target),
        "on_final": list(group.on_final) or [service],
        "data": [_of_target(outcome, group) for outcome in outcomes],
    }
    return _with_truncated(payload, told)


def _with_truncated(payload: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """Says that something had no room, where it had none."""
    if told.get("truncated"):
        payload["truncated"] = True
    return payload


def _time(text: str) -> datetime.datetime:
    """An instant as the model has it: in UTC, without saying so."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}")
