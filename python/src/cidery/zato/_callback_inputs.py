"""The inputs of Zato's fan-out callbacks, translated from those of a node.

A node sends neither the service that fanned out nor the given names: both are read from the group,
which is cached. They are left empty if the group is no longer kept.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging
import threading
from typing import TYPE_CHECKING, Any

from cidery._errors.exceptions import CideryError
from cidery._protocol import operations
from cidery._protocol.steps import Operation

if TYPE_CHECKING:
    from cidery._protocol.results import Invocation
    from cidery._service.context import InvocationInfo

_log = logging.getLogger("cidery.zato")
_KEY_PREFIX = "zato"
_MAX_CACHED_GROUPS = 1_000


def idempotency_key(source: str, cid: str) -> str:
    """The idempotency key of a call with a CID of any form: it contains the service and the CID."""
    return f"{_KEY_PREFIX}/{source}/{cid}"


def translate_info(info: InvocationInfo) -> Operation[InvocationInfo]:
    """Translates the input of a callback."""
    received = info.raw
    if not info.in_reply_to:
        return info
    if not isinstance(received, dict):
        return (yield from _with_environ(info))
    if (
        received.get("cid") == info.in_reply_to
        and {"group_cid", "position", "state"} <= received.keys()
    ):
        group = yield from _get_group(received["group_cid"])
        return dataclasses.replace(info, raw=_target_payload(received, group))
    if received.get("group_cid") == info.in_reply_to and "outcomes" in received:
        group = yield from _get_group(received["group_cid"])
        return dataclasses.replace(info, raw=_final_payload(received, group, info.service))
    return (yield from _with_environ(info))


def _with_environ(info: InvocationInfo) -> Operation[InvocationInfo]:
    """Adds the `environ` of the call to its callback: a node sends only the outcome."""
    try:
        found = yield from operations.get_invocation(info.in_reply_to, None)
    except CideryError as error:
        _log.warning("CID %s: the callback has no `environ`: %s", info.cid, error)
        return info
    return dataclasses.replace(info, metadata={**found.message.metadata, **info.metadata})


@dataclasses.dataclass(frozen=True)
class _FanOutGroup:
    """What a callback gets of a fan-out beyond the input from the node."""

    cid: str
    """The CID that the caller of the fan-out knows."""
    source: str = ""
    on_target: tuple[str, ...] = ()
    on_final: tuple[str, ...] = ()
    accept_time: datetime.datetime | None = None

    @classmethod
    def of(cls, found: Invocation) -> _FanOutGroup:
        kind, _, rest = found.message.idempotency_key.partition("/")
        source, _, cid = rest.partition("/")
        return cls(
            cid=cid if kind == _KEY_PREFIX and cid else found.cid,
            source=source if kind == _KEY_PREFIX else "",
            on_target=tuple(found.message.group.on_each),
            on_final=tuple(found.message.group.on_final),
            accept_time=found.accept_time,
        )


class _GroupCache:
    """A cache of the most recent groups."""

    def __init__(self) -> None:
        self._groups: dict[str, _FanOutGroup] = {}
        self._lock = threading.Lock()

    def get(self, cid: str) -> _FanOutGroup | None:
        with self._lock:
            return self._groups.get(cid)

    def put(self, cid: str, group: _FanOutGroup) -> None:
        with self._lock:
            while len(self._groups) >= _MAX_CACHED_GROUPS:
                del self._groups[next(iter(self._groups))]
            self._groups[cid] = group


_GROUP_CACHE = _GroupCache()


def _get_group(cid: str) -> Operation[_FanOutGroup]:
    group = _GROUP_CACHE.get(cid)
    if group is None:
        try:
            group = _FanOutGroup.of((yield from operations.get_invocation(cid, None)))
        except CideryError:
            # Translates without the group rather than failing the callback.
            return _FanOutGroup(cid)
        _GROUP_CACHE.put(cid, group)
    return group


def _target_payload(received: dict[str, Any], group: _FanOutGroup) -> dict[str, Any]:
    error = received.get("error")
    ok = received["state"] == "SUCCEEDED"
    payload = {
        "phase": "on-target",
        "cid": group.cid,
        "source": group.source,
        "target": received["service"],
        "ok": ok,
        "response": received.get("response"),
        "exception": None if error is None else f"{error['reason']}: {error['message']}",
        "req_ts_utc": _time(received["accept_time"]).isoformat(),
        "resp_ts_utc": _time(received["end_time"]).isoformat(),
    }
    return _copy_truncated(payload, received)


def _final_payload(received: dict[str, Any], group: _FanOutGroup, service: str) -> dict[str, Any]:
    outcomes = received["outcomes"]
    at = group.accept_time and group.accept_time.replace(tzinfo=None)
    if at is None and outcomes:
        # All members were accepted at the same time.
        at = _time(outcomes[0]["accept_time"])
    payload = {
        "phase": "on-final",
        "source": group.source,
        "req_ts_utc": at,
        "on_target": list(group.on_target),
        "on_final": list(group.on_final) or [service],
        "data": [_target_payload(outcome, group) for outcome in outcomes],
    }
    return _copy_truncated(payload, received)


def _copy_truncated(payload: dict[str, Any], received: dict[str, Any]) -> dict[str, Any]:
    """Copies the mark of an input that was truncated."""
    if received.get("truncated"):
        payload["truncated"] = True
    return payload


def _time(text: str) -> datetime.datetime:
    """An instant in Zato's form: a naive `datetime` in UTC."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}")
