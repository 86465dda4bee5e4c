"""Handlers that answer later: a webhook, a person or another system gives the outcome, by a token.

Nothing here imports the rest, so that whatever carries payloads can refuse to carry this.
"""

from __future__ import annotations


class Later:
    """That a handler answers later.

    It gives `cid` and `token` to whoever will call `Client.complete` with them, and returns this:
    its slot is free from then on, and its caller waits on. In the background that survives
    restarts; it ends when the attempt's timeout, which begins anew, or the deadline passes.
    """

    __slots__ = ("cid", "token")

    def __init__(self, cid: str, token: str) -> None:
        self.cid = cid
        """The invocation."""
        self.token = token
        """What the outcome is given with. A secret: whoever has it decides the outcome."""

    def __repr__(self) -> str:
        return f"Later(cid={self.cid!r})"
