"""The operations of a node, for the blocking and the asyncio client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from cidery._protocol import bulk
from cidery._protocol.bulk import Action, Operation, OperationState, OperationStateName
from cidery._protocol.options import Seconds

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cidery._protocol.filters import FilterOptions

_States: TypeAlias = (
    OperationState | OperationStateName | Iterable[OperationState | OperationStateName]
)
_Operations: TypeAlias = list[Operation]


class Operations:
    """Changes of all invocations that match a filter, which the node makes in the background.

    They survive restarts of the node, and have no limit on how many invocations there are.
    """

    def __init__(self, drive: Callable[[Any], Any]) -> None:
        self._drive = drive

    def start(
        self,
        action: Action,
        *,
        patch: Mapping[str, Any] | None = None,
        reason: str = "",
        max_per_second: int = 0,
        operation_id: str = "",
        **filters: Unpack[FilterOptions],
    ) -> Operation:
        """Starts to cancel, retry, release or purge the invocations that match.

        `patch` is a JSON merge patch of the input of each retry, `reason` that of a cancellation.
        `operation_id`, a UUID, makes it safe to repeat the call.
        """
        operation = bulk.start(
            action,
            filters,
            patch=patch,
            reason=reason,
            max_per_second=max_per_second,
            operation_id=operation_id,
        )
        started: Operation = self._drive(operation)
        return started

    def count(self, action: Action, **filters: Unpack[FilterOptions]) -> int:
        """Counts the invocations that `start` would change."""
        matched: int = self._drive(bulk.count(action, filters))
        return matched

    def get(self, operation_id: str) -> Operation:
        """Fetches an operation."""
        found: Operation = self._drive(bulk.get(operation_id))
        return found

    def wait(self, operation_id: str, timeout: Seconds | None = None) -> Operation:
        """Waits for the end of an operation; `DeadlineExceeded` after `timeout` seconds."""
        ended: Operation = self._drive(bulk.wait(operation_id, timeout))
        return ended

    def cancel(self, operation_id: str) -> Operation:
        """Cancels an operation. What it has changed stays changed."""
        cancelled: Operation = self._drive(bulk.cancel(operation_id))
        return cancelled

    def list(self, *, states: _States = (), limit: int = 100) -> _Operations:
        """Lists operations, newest first; those that have ended for 14 days."""
        listed: _Operations = self._drive(bulk.list_operations(states, limit))
        return listed


class AsyncOperations:
    """The same as `Operations`, awaited."""

    def __init__(self, drive: Callable[[Any], Awaitable[Any]]) -> None:
        self._drive = drive

    async def start(
        self,
        action: Action,
        *,
        patch: Mapping[str, Any] | None = None,
        reason: str = "",
        max_per_second: int = 0,
        operation_id: str = "",
        **filters: Unpack[FilterOptions],
    ) -> Operation:
        """Starts to cancel, retry, release or purge the invocations that match."""
        operation = bulk.start(
            action,
            filters,
            patch=patch,
            reason=reason,
            max_per_second=max_per_second,
            operation_id=operation_id,
        )
        started: Operation = await self._drive(operation)
        return started

    async def count(self, action: Action, **filters: Unpack[FilterOptions]) -> int:
        """Counts the invocations that `start` would change."""
        matched: int = await self._drive(bulk.count(action, filters))
        return matched

    async def get(self, operation_id: str) -> Operation:
        """Fetches an operation."""
        found: Operation = await self._drive(bulk.get(operation_id))
        return found

    async def wait(self, operation_id: str, timeout: Seconds | None = None) -> Operation:
        """Waits for the end of an operation; `DeadlineExceeded` after `timeout` seconds."""
        ended: Operation = await self._drive(bulk.wait(operation_id, timeout))
        return ended

    async def cancel(self, operation_id: str) -> Operation:
        """Cancels an operation. What it has changed stays changed."""
        cancelled: Operation = await self._drive(bulk.cancel(operation_id))
        return cancelled

    async def list(self, *, states: _States = (), limit: int = 100) -> _Operations:
        """Lists operations, newest first; those that have ended for 14 days."""
        listed: _Operations = await self._drive(bulk.list_operations(states, limit))
        return listed
