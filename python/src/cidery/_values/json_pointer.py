"""JSON pointers (RFC 6901): the paths of violations."""

from __future__ import annotations


def join_pointer(path: str, key: object) -> str:
    """Appends a key or an index to a JSON pointer."""
    return f"{path}/{str(key).replace('~', '~0').replace('/', '~1')}"
