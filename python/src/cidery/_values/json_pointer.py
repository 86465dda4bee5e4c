"""JSON pointers (RFC 6901): where in a value a violation is."""

from __future__ import annotations


def join_pointer(path: str, key: object) -> str:
    """One step further along a JSON pointer."""
    return f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"
