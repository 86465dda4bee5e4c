"""Invocations and events: the records of the store and the result stream."""

from __future__ import annotations

import datetime
import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from cidery._errors.exceptions import CideryError, NotFound
from cidery._errors.status_details import from_failure
from cidery._protocol.messages import get_payload
from cidery._protocol.progress import Progress
from cidery._protocol.typed import typed_value
from cidery.v1 import invocation_pb2, outcome_pb2

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

T = TypeVar("T")


StateName: TypeAlias = Literal["PENDING", "RUNNING", "SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"]


class State(str, enum.Enum):
    """The state of an invocation. The last four are terminal."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"

    @property
    def is_terminal(self) -> bool:
        """Whether the state is final."""
        return self not in (State.PENDING, State.RUNNING)

    @classmethod
    def from_proto(cls, number: outcome_pb2.State) -> State:
        """Decodes the contract's enum."""
        return cls(outcome_pb2.State.Name(number).removeprefix("STATE_"))


class EventKind(str, enum.Enum):
    """The kind of an event."""

    ACCEPTED = "accepted"
    STARTED = "started"
    PROGRESS = "progress"
    ITEM = "item"
    RETRY_SCHEDULED = "retry_scheduled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NOT_FOUND = "not_found"

    @property
    def is_last(self) -> bool:
        """Whether it is the last event of its invocation."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        EventKind.SUCCEEDED,
        EventKind.FAILED,
        EventKind.CANCELLED,
        EventKind.EXPIRED,
        EventKind.NOT_FOUND,
    }
)


@dataclass(frozen=True)
class Event:
    """An event of an invocation."""

    cid: str
    kind: EventKind
    sequence: int
    """Increases with each event of an invocation; 0 for progress and `not_found`."""
    attempt: int
    time: datetime.datetime | None
    payload: Any = None
    """The response or the item: a dict with dot access, a list or a scalar. `payload_as` returns it
    as an instance of a type."""
    error: CideryError | None = None
    """Why it failed, was cancelled, expired, is retried, or was not found."""
    progress: Progress | None = None
    run: int = 0
    """The run of the attempt: the sequence of its `started` event. An attempt that is lost with its
    worker runs again, and emits its items again. 0 for progress, and before the first run."""
    message: invocation_pb2.StreamResultsResponse = field(
        default_factory=invocation_pb2.StreamResultsResponse, repr=False, compare=False
    )
    """The message itself."""

    def payload_as(self, output: type[T]) -> T:
        """The payload as an instance of a type; raises `Internal` / `RESPONSE_MISMATCH` if it does
        not match, and the failure of an event that has one."""
        if self.error is not None:
            raise self.error
        described = "item" if self.kind is EventKind.ITEM else "response"
        value: T = typed_value(output, self.payload, self.cid, described)
        return value

    @classmethod
    def from_proto(cls, message: invocation_pb2.StreamResultsResponse) -> Event:
        """Decodes it from the contract."""
        name = message.WhichOneof("event") or "progress"
        body = getattr(message, name)
        payload, progress = None, None
        error: CideryError | None = None
        if name == "item":
            payload = get_payload(body, "item")
        elif name == "succeeded":
            payload = get_payload(body, "output")
        elif name == "progress":
            progress = Progress.from_proto(body.progress)
        elif name == "not_found":
            error = NotFound(body.reason, body.message, cid=message.cid)
        elif name not in ("accepted", "started"):
            error = from_failure(body.failure, message.cid)
        return cls(
            cid=message.cid,
            kind=EventKind(name),
            sequence=message.sequence,
            attempt=message.attempt,
            time=timestamp_of(message, "event_time"),
            payload=payload,
            error=error,
            progress=progress,
            run=message.run,
            message=message,
        )


@dataclass(frozen=True)
class Invocation:
    """An accepted request to run a service."""

    cid: str
    service: str
    state: State
    attempt: int
    pending_reason: str
    """Why it is pending: `DUE_LATER`, `NO_WORKER`, …; else empty."""
    cancel_requested: bool
    waiting_for_completion: bool
    """Whether its handler returned `Later` and the outcome is not given yet."""
    payload: Any
    """The response of an invocation that succeeded."""
    error: CideryError | None
    """The failure of an invocation that failed, or of the last attempt while it is retried."""
    progress: Progress | None
    """The last progress report of the running attempt."""
    parent_cid: str
    root_cid: str
    retry_of: str
    retried_as: str
    """The CID of the last invocation that retries it; else empty."""
    in_reply_to: str
    metadata: dict[str, str]
    accept_time: datetime.datetime | None
    end_time: datetime.datetime | None
    message: outcome_pb2.Invocation = field(repr=False, compare=False)
    """The message itself."""

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self.state.is_terminal

    def payload_as(self, output: type[T]) -> T:
        """The response as an instance of a type, like `Event.payload_as`."""
        if self.error is not None:
            raise self.error
        value: T = typed_value(output, self.payload, self.cid, f"response of `{self.service}`")
        return value

    @classmethod
    def from_proto(cls, message: outcome_pb2.Invocation) -> Invocation:
        """Decodes it from the contract."""
        payload, error = None, None
        if message.HasField("outcome"):
            if message.outcome.HasField("failure"):
                error = from_failure(message.outcome.failure, message.cid)
            else:
                payload = get_payload(message.outcome, "outcome")
        elif message.HasField("last_failure"):
            error = from_failure(message.last_failure, message.cid)
        reason = outcome_pb2.PendingReason.Name(message.pending_reason)
        return cls(
            cid=message.cid,
            service=message.service,
            state=State.from_proto(message.state),
            attempt=message.attempt,
            pending_reason=reason.removeprefix("PENDING_REASON_").replace("UNSPECIFIED", ""),
            cancel_requested=message.cancel_requested,
            waiting_for_completion=message.waiting_for_completion,
            payload=payload,
            error=error,
            progress=Progress.from_proto(message.progress)
            if message.HasField("progress")
            else None,
            parent_cid=message.parent_cid,
            root_cid=message.root_cid,
            retry_of=message.retry_of,
            retried_as=message.retried_as,
            in_reply_to=message.in_reply_to,
            metadata=dict(message.metadata),
            accept_time=timestamp_of(message, "accept_time"),
            end_time=timestamp_of(message, "end_time"),
            message=message,
        )


@dataclass(frozen=True)
class Change:
    """The change of one invocation that was cancelled, retried or purged."""

    cid: str
    state: State | None
    """Its state now; `None` if it was not changed."""
    cancel_requested: bool = False
    """Whether its cancellation is requested, and its handler has not ended yet."""
    new_cid: str = ""
    """For a retry, the CID of the new invocation; else empty."""
    error: CideryError | None = None
    """Why it was not changed."""

    @classmethod
    def from_proto(cls, message: invocation_pb2.InvocationChange) -> Change:
        """Decodes it from the contract."""
        is_known = message.state != outcome_pb2.STATE_UNSPECIFIED
        is_refused = message.HasField("failure")
        return cls(
            cid=message.cid,
            state=State.from_proto(message.state) if is_known else None,
            cancel_requested=message.cancel_requested,
            new_cid=message.new_cid,
            error=from_failure(message.failure, message.cid) if is_refused else None,
        )


@dataclass(frozen=True)
class Summary:
    """How many invocations have the same service, state and reason."""

    service: str
    """Empty for batches."""
    state: State
    held: bool
    """Whether they are held as dead letters."""
    failure_reason: str
    """The reason of the last failure; else empty."""
    count: int
    first_accept_time: datetime.datetime | None
    last_accept_time: datetime.datetime | None
    last_end_time: datetime.datetime | None
    """When the last of them ended; `None` if none has."""
    example_cid: str
    """The CID of the one that was accepted last."""
    example_message: str
    """The failure message of that one; else empty."""

    @classmethod
    def from_proto(cls, message: invocation_pb2.InvocationSummary) -> Summary:
        """Decodes it from the contract."""
        return cls(
            service=message.service,
            state=State.from_proto(message.state),
            held=message.pending_reason == outcome_pb2.PENDING_REASON_HELD,
            failure_reason=message.failure_reason,
            count=message.count,
            first_accept_time=timestamp_of(message, "first_accept_time"),
            last_accept_time=timestamp_of(message, "last_accept_time"),
            last_end_time=timestamp_of(message, "last_end_time"),
            example_cid=message.example_cid,
            example_message=message.example_message,
        )


def timestamp_of(message: Any, name: str) -> datetime.datetime | None:
    """The instant in a field of a message; `None` where it is not set."""
    if not message.HasField(name):
        return None
    time: Timestamp = getattr(message, name)
    return time.ToDatetime(tzinfo=datetime.timezone.utc)
