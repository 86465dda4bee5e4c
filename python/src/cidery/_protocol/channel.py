"""The gRPC channel to a node: its address, credentials, options and stubs."""

from __future__ import annotations

import os
from typing import Any

from cidery.v1 import admin_pb2_grpc, discovery_pb2_grpc, invocation_pb2_grpc

DEFAULT_NODE = "127.0.0.1:24337"


class Stubs:
    """The stubs of a channel, blocking or asyncio."""

    def __init__(self, channel: Any) -> None:
        self._stubs = (
            invocation_pb2_grpc.InvocationServiceStub(channel),
            discovery_pb2_grpc.DiscoveryServiceStub(channel),
            admin_pb2_grpc.AdminServiceStub(channel),
        )

    def __getattr__(self, method: str) -> Any:
        for stub in self._stubs:
            if hasattr(stub, method):
                found = getattr(stub, method)
                setattr(self, method, found)
                return found
        raise AttributeError(method)


def address(node: str | None) -> str:
    """The address of the node: the argument, `CIDERY_NODE`, or the default."""
    return node or os.environ.get("CIDERY_NODE") or DEFAULT_NODE


def credentials(api_key: str | None) -> tuple[tuple[str, str], ...]:
    """The metadata that authenticates the caller."""
    key = api_key or os.environ.get("CIDERY_API_KEY")
    return (("authorization", f"Bearer {key}"),) if key else ()


# The node limits the size of messages, not gRPC's defaults. A decoded message may be four times as
# large as the payload limit of the node.
CHANNEL_OPTIONS = (
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
