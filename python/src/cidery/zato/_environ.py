"""`environ` and `cid` of Zato's calls: carried as metadata, read as `self.environ` and `self.cid`.

Metadata are texts. A text of `environ` is an entry of its own, which handlers in other languages
read as well; all other plain values are JSON in one entry. What JSON cannot carry is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_VALUES_KEY = "zato-environ"
_CID_KEY = "zato-cid"
_SCALARS = (str, int, float, bool, type(None))


def to_metadata(environ: Any, cid: Any = None) -> dict[str, str]:
    """The metadata of a call with this `environ`, whose target sees this CID."""
    metadata: dict[str, str] = {}
    others: dict[str, Any] = {}
    if environ:
        if not isinstance(environ, Mapping):
            raise TypeError(f"`environ` is {environ!r}, not a dict")
        for key, value in environ.items():
            _check(key, value)
            is_text = isinstance(value, str) and key not in (_VALUES_KEY, _CID_KEY)
            (metadata if is_text else others)[key] = value
    if others:
        metadata[_VALUES_KEY] = json.dumps(others, ensure_ascii=False, allow_nan=False)
    if cid:
        metadata[_CID_KEY] = str(cid)
    return metadata


def from_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The `environ` of a call."""
    environ: dict[str, Any] = dict(metadata)
    environ.pop(_CID_KEY, None)
    others = environ.pop(_VALUES_KEY, None)
    if others is not None:
        environ.update(json.loads(others))
    return environ


def given_cid(metadata: Mapping[str, str]) -> str:
    """The CID that the caller gave to a synchronous call; empty if it gave none."""
    return metadata.get(_CID_KEY, "")


def _check(key: Any, value: Any, path: str = "environ") -> None:
    """Raises a `TypeError` for what a receiver would get changed."""
    if not isinstance(key, str):
        raise TypeError(f"`{path}` has the key {key!r}, which is not text")
    path = f"{path}[{key!r}]"
    if isinstance(value, dict):
        for each, inside in value.items():
            _check(each, inside, path)
    elif isinstance(value, list):
        for index, inside in enumerate(value):
            _check(str(index), inside, path)
    elif type(value) not in _SCALARS:
        raise TypeError(
            f"`{path}` is of type `{type(value).__qualname__}`, which metadata cannot carry: give"
            " text, a number, a boolean, or a list or dict of these"
        )
