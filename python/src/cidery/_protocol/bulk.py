"""Operations on the node: changes of all invocations that match a filter, made in the background.

Without I/O, as the operations of a client are.
"""

from __future__ import annotations

import datetime
import enum
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from cidery._errors.exceptions import CideryError, DeadlineExceeded
from cidery._errors.status_details import from_failure
from cidery._protocol import steps
from cidery._protocol.cid import new_cid
from cidery._protocol.filters import refuse_no_filter, set_filter
from cidery._protocol.options import Seconds, enum_value, not_one_of, seconds
from cidery._protocol.results import timestamp_of
from cidery._protocol.retry import is_safe_to_retry
from cidery.v1 import operation_pb2

_PAGE_SIZE = 1_000

Action: TypeAlias = Literal["cancel", "retry", "release", "purge"]
_ACTIONS: tuple[Action, ...] = get_args(Action)
OperationStateName: TypeAlias = Literal["RUNNING", "SUCCEEDED", "CANCELLED", "FAILED"]


class OperationState(str, enum.Enum):
    """The state of an operation. All but the first are terminal."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Refusal:
    """Why an operation did not change invocations, for one reason."""

    reason: str
    count: int
    example_cid: str
    """The CID of one of them."""
    message: str
    """The message of that one."""


@dataclass(frozen=True)
class Operation:
    """A change of all invocations that match a filter, and how far it is."""

    id: str
    action: Action
    state: OperationState
    matched: int
    """How many could be changed when it was started."""
    processed: int
    """How many it has seen."""
    changed: int
    refusals: tuple[Refusal, ...]
    """Why others were not changed, the most frequent reason first."""
    max_per_second: int
    create_time: datetime.datetime | None
    end_time: datetime.datetime | None
    principal: str
    """Who started it, as far as the node knows."""
    error: CideryError | None
    """Why it failed or, while it runs, why it waits."""

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self.state is not OperationState.RUNNING

    @classmethod
    def from_proto(cls, message: operation_pb2.Operation) -> Operation:
        """Decodes it from the contract."""
        name = operation_pb2.OperationState.Name(message.state)
        action: Any = message.action.WhichOneof("action")
        return cls(
            id=message.id,
            action=action,
            state=OperationState(name.removeprefix("OPERATION_STATE_")),
            matched=message.matched,
            processed=message.processed,
            changed=message.changed,
            refusals=tuple(
                Refusal(each.reason, each.count, each.example_cid, each.message)
                for each in message.refusals
            ),
            max_per_second=message.max_per_second,
            create_time=timestamp_of(message, "create_time"),
            end_time=timestamp_of(message, "end_time"),
            principal=message.principal,
            error=from_failure(message.failure) if message.HasField("failure") else None,
        )


def start(
    action: Action,
    filters: Mapping[str, Any],
    *,
    patch: Mapping[str, Any] | None = None,
    reason: str = "",
    max_per_second: int = 0,
    operation_id: str = "",
) -> steps.Operation[Operation]:
    """Starts an operation over the invocations that match a filter."""
    request = _start_request(action, filters, patch, reason)
    request.max_per_second = max_per_second
    # A request with an id is started once, so a retry is safe.
    request.id = operation_id or new_cid()
    reply = yield steps.UnaryCall("StartOperation", request, None, is_safe_to_retry)
    return Operation.from_proto(reply.message.operation)


def count(action: Action, filters: Mapping[str, Any]) -> steps.Operation[int]:
    """Counts the invocations that an operation would change."""
    request = _start_request(action, filters, None, "")
    request.dry_run = True
    reply = yield steps.UnaryCall("StartOperation", request, None, is_safe_to_retry)
    matched: int = reply.message.operation.matched
    return matched


def get(operation_id: str) -> steps.Operation[Operation]:
    """Fetches an operation."""
    request = operation_pb2.GetOperationRequest(id=operation_id)
    reply = yield steps.UnaryCall("GetOperation", request, None, is_safe_to_retry)
    return Operation.from_proto(reply.message.operation)


def wait(operation_id: str, timeout: Seconds | None) -> steps.Operation[Operation]:
    """Waits for the end of an operation."""
    deadline = None if timeout is None else time.monotonic() + seconds(timeout)
    request = operation_pb2.GetOperationRequest(id=operation_id, wait=True)
    while True:
        left = None if deadline is None else max(deadline - time.monotonic(), 0.001)
        call = steps.UnaryCall("GetOperation", request, left, is_safe_to_retry, blocks=True)
        found = Operation.from_proto((yield call).message.operation)
        if found.has_ended:
            return found
        if deadline is not None and time.monotonic() >= deadline:
            raise DeadlineExceeded("STILL_RUNNING", f"operation {operation_id} has not ended")


def cancel(operation_id: str) -> steps.Operation[Operation]:
    """Cancels an operation."""
    request = operation_pb2.CancelOperationRequest(id=operation_id)
    call = steps.UnaryCall("CancelOperation", request, None, is_safe_to_retry, blocks=True)
    return Operation.from_proto((yield call).message.operation)


def list_operations(
    states: OperationState | OperationStateName | Iterable[OperationState | OperationStateName],
    limit: int,
) -> steps.Operation[list[Operation]]:
    """Lists operations, newest first."""
    found: list[Operation] = []
    request = operation_pb2.ListOperationsRequest(states=_states(states))
    while len(found) < limit:
        request.page_size = min(limit - len(found), _PAGE_SIZE)
        call = steps.UnaryCall("ListOperations", request, None, is_safe_to_retry)
        page = (yield call).message
        found += map(Operation.from_proto, page.operations)
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    return found


def _start_request(
    action: Action, filters: Mapping[str, Any], patch: Mapping[str, Any] | None, reason: str
) -> operation_pb2.StartOperationRequest:
    if action not in _ACTIONS:
        raise ValueError(not_one_of(action, "action", _ACTIONS))
    if patch is not None and action != "retry":
        raise TypeError("`patch` is an option of a retry")
    if reason and action != "cancel":
        raise TypeError("`reason` is an option of a cancellation")
    refuse_no_filter(filters)
    request = operation_pb2.StartOperationRequest()
    set_filter(request, filters)
    chosen = getattr(request.action, action)
    chosen.SetInParent()
    if patch is not None:
        # As JSON, which keeps every digit of numbers.
        chosen.input_patch_json = json.dumps(dict(patch), allow_nan=False)
    if reason:
        chosen.reason = reason
    return request


def _states(
    given: OperationState | OperationStateName | Iterable[OperationState | OperationStateName],
) -> list[Any]:
    each = [given] if isinstance(given, str) else list(given)
    states = [enum_value(OperationState, one, "states") for one in each]
    value = operation_pb2.OperationState.Value
    return [value(f"OPERATION_STATE_{state.value}") for state in states]
