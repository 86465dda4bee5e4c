"""Naive times of Zato's services: taken as UTC, or as times of `CIDERY_ZATO_TIME_ZONE`."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import logging
import os
import zoneinfo
from collections.abc import Mapping
from typing import Any

ZONE_VARIABLE = "CIDERY_ZATO_TIME_ZONE"

_log = logging.getLogger("cidery.zato")


def with_zone(value: Any) -> Any:
    """A value whose naive times have a zone, without which they denote no instant."""
    if isinstance(value, datetime.datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=zone())
    if type(value) in (str, int, float, bool, type(None)):
        return value
    if isinstance(value, Mapping):
        return {key: with_zone(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return [with_zone(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [f.name for f in dataclasses.fields(value) if hasattr(value, f.name)]
        naive = [name for name in fields if _is_naive(getattr(value, name))]
        if naive:
            return {name: with_zone(getattr(value, name)) for name in fields}
    return value


def _is_naive(value: Any) -> bool:
    return isinstance(value, datetime.datetime) and value.tzinfo is None


@functools.lru_cache(maxsize=1)
def zone() -> datetime.tzinfo:
    """The zone of naive times; logged at the first one."""
    name = os.environ.get(ZONE_VARIABLE, "UTC")
    _log.warning("times without a zone are taken as %s; %s sets another one", name, ZONE_VARIABLE)
    return datetime.timezone.utc if name == "UTC" else zoneinfo.ZoneInfo(name)
