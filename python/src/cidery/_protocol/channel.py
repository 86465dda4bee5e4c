"""The gRPC channel to a node: its address, options and stubs."""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Any

from cidery._errors.exceptions import InvalidArgument
from cidery.v1 import (
    admin_pb2_grpc,
    discovery_pb2_grpc,
    invocation_pb2_grpc,
    operation_pb2_grpc,
)

_DEFAULT_PORT = 24337
_DEFAULT_NODE = f"127.0.0.1:{_DEFAULT_PORT}"
_SYNTAX = "use `HOST:PORT`"
_HOST_AND_PORT = re.compile(r"([A-Za-z0-9._~-]*|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?")


class Stubs:
    """The stubs of a channel to a node, blocking or asyncio."""

    def __init__(self, channel: Any, node: str) -> None:
        self.node = node
        self._stubs = (
            invocation_pb2_grpc.InvocationServiceStub(channel),
            discovery_pb2_grpc.DiscoveryServiceStub(channel),
            admin_pb2_grpc.AdminServiceStub(channel),
            operation_pb2_grpc.OperationServiceStub(channel),
        )

    def generation(self) -> int:
        """How often the channel was replaced: as for a connection, which may replace it."""
        return 0

    def is_replaced(self, failure: Exception, generation: int) -> bool:
        """Whether a call that failed has another channel now: as for a connection."""
        return False

    def __getattr__(self, method: str) -> Any:
        for stub in self._stubs:
            if hasattr(stub, method):
                found = getattr(stub, method)
                setattr(self, method, found)
                return found
        raise AttributeError(method)


def address(node: str | None) -> str:
    """The address of the node as `host:port`, or `https://host:port` with TLS: of the argument,
    `CIDERY_NODE`, or the default.

    The rules are equal to those of the program `cidery`.

    >>> address("node.example"), address(":9000"), address("http://[::1]:7")
    ('node.example:24337', 'localhost:9000', '[::1]:7')
    """
    given = node or os.environ.get("CIDERY_NODE") or _DEFAULT_NODE
    try:
        return _host_and_port(given)
    except ValueError as error:
        message = f"`{given}` is not an address of a node: {error}"
        raise InvalidArgument("REQUEST_INVALID", message) from None


def _host_and_port(node: str) -> str:
    scheme, has_scheme, rest = node.partition("://")
    if has_scheme and scheme not in ("http", "https"):
        raise ValueError(_SYNTAX)
    prefix = "https://" if has_scheme and scheme == "https" else ""
    authority = rest.removesuffix("/") if has_scheme else node
    if _is_ipv6(authority):
        authority = f"[{authority}]"
    match = _HOST_AND_PORT.fullmatch(authority)
    if match is None or authority == "":
        raise ValueError(_SYNTAX)
    host, port = match[1] or "localhost", int(match[2] or _DEFAULT_PORT)
    if port > 0xFFFF or (host[0] == "[" and not _is_ipv6(host[1:-1])):
        raise ValueError(_SYNTAX)
    return f"{prefix}{host}:{port}"


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


# The node limits the size of messages, not gRPC's defaults. A decoded message may be four times as
# large as the payload limit of the node.
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
