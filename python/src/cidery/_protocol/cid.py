"""CIDs: UUIDs of version 7, in canonical lower case."""

from __future__ import annotations

import os
import time
import uuid


def new_cid() -> str:
    """Generates a CID; its first 48 bits are the time in milliseconds.

    >>> len(new_cid()), new_cid()[14]
    (36, '7')
    """
    milliseconds = time.time_ns() // 1_000_000
    tail = int.from_bytes(os.urandom(10), "big")
    number = (milliseconds & (1 << 48) - 1) << 80 | tail
    number = number & ~(0xF << 76) | 7 << 76
    return str(uuid.UUID(int=number & ~(3 << 62) | 2 << 62))
