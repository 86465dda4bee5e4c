"""`Later`: the result of a handler whose outcome is given later, by `Client.complete`.

Imports nothing, so that the encoding of payloads can refuse it.
"""

from __future__ import annotations


class Later:
    """Async completion: the handler returns, and another process gives the outcome.

    A handler passes `cid` and `token` to the process that will call `Client.complete`, and returns
    this object. Its permit is released, and its caller keeps waiting. In the background the
    invocation survives restarts; it ends when the timeout of the attempt, which restarts when the
    handler returns, or the deadline passes.
    """

    __slots__ = ("cid", "token")

    def __init__(self, cid: str, token: str) -> None:
        self.cid = cid
        """The CID of the invocation."""
        self.token = token
        """The completion token. A secret: it authorizes giving the outcome."""

    def __repr__(self) -> str:
        return f"Later(cid={self.cid!r})"
