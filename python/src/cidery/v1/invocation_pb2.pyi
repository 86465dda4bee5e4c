from cidery.v1 import outcome_pb2 as _outcome_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OnDeadline(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_DEADLINE_UNSPECIFIED: _ClassVar[OnDeadline]
    ON_DEADLINE_CANCEL: _ClassVar[OnDeadline]
    ON_DEADLINE_CONTINUE: _ClassVar[OnDeadline]

class OnExhausted(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ON_EXHAUSTED_UNSPECIFIED: _ClassVar[OnExhausted]
    ON_EXHAUSTED_FAIL: _ClassVar[OnExhausted]
    ON_EXHAUSTED_HOLD: _ClassVar[OnExhausted]

class InvocationView(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INVOCATION_VIEW_UNSPECIFIED: _ClassVar[InvocationView]
    INVOCATION_VIEW_BASIC: _ClassVar[InvocationView]
    INVOCATION_VIEW_FULL: _ClassVar[InvocationView]
    INVOCATION_VIEW_SUMMARY: _ClassVar[InvocationView]
ON_DEADLINE_UNSPECIFIED: OnDeadline
ON_DEADLINE_CANCEL: OnDeadline
ON_DEADLINE_CONTINUE: OnDeadline
ON_EXHAUSTED_UNSPECIFIED: OnExhausted
ON_EXHAUSTED_FAIL: OnExhausted
ON_EXHAUSTED_HOLD: OnExhausted
INVOCATION_VIEW_UNSPECIFIED: InvocationView
INVOCATION_VIEW_BASIC: InvocationView
INVOCATION_VIEW_FULL: InvocationView
INVOCATION_VIEW_SUMMARY: InvocationView

class InvokeRequest(_message.Message):
    __slots__ = ("service", "payload", "value", "document", "data_format", "response_format", "timeout", "metadata", "cid", "idempotency_key", "on_deadline")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    DATA_FORMAT_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    ON_DEADLINE_FIELD_NUMBER: _ClassVar[int]
    service: str
    payload: _struct_pb2.Struct
    value: _struct_pb2.Value
    document: bytes
    data_format: _outcome_pb2.DataFormat
    response_format: _outcome_pb2.DataFormat
    timeout: _duration_pb2.Duration
    metadata: _containers.ScalarMap[str, str]
    cid: str
    idempotency_key: str
    on_deadline: OnDeadline
    def __init__(self, service: _Optional[str] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., document: _Optional[bytes] = ..., data_format: _Optional[_Union[_outcome_pb2.DataFormat, str]] = ..., response_format: _Optional[_Union[_outcome_pb2.DataFormat, str]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., cid: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., on_deadline: _Optional[_Union[OnDeadline, str]] = ...) -> None: ...

class InvokeResponse(_message.Message):
    __slots__ = ("cid", "payload", "value", "document", "data_format", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CID_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    DATA_FORMAT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    cid: str
    payload: _struct_pb2.Struct
    value: _struct_pb2.Value
    document: bytes
    data_format: _outcome_pb2.DataFormat
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, cid: _Optional[str] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., document: _Optional[bytes] = ..., data_format: _Optional[_Union[_outcome_pb2.DataFormat, str]] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class InvokeAsyncRequest(_message.Message):
    __slots__ = ("service", "payload", "value", "document", "data_format", "response_format", "timeout", "metadata", "cid", "idempotency_key", "delay", "start_time", "expiration", "deadline", "retry_policy", "on_exhausted", "concurrency_key", "callbacks", "failure_callbacks", "retention")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    DATA_FORMAT_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FORMAT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    CID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    DELAY_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRATION_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    ON_EXHAUSTED_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    CALLBACKS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_CALLBACKS_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    service: str
    payload: _struct_pb2.Struct
    value: _struct_pb2.Value
    document: bytes
    data_format: _outcome_pb2.DataFormat
    response_format: _outcome_pb2.DataFormat
    timeout: _duration_pb2.Duration
    metadata: _containers.ScalarMap[str, str]
    cid: str
    idempotency_key: str
    delay: _duration_pb2.Duration
    start_time: _timestamp_pb2.Timestamp
    expiration: _duration_pb2.Duration
    deadline: _timestamp_pb2.Timestamp
    retry_policy: RetryPolicy
    on_exhausted: OnExhausted
    concurrency_key: str
    callbacks: _containers.RepeatedScalarFieldContainer[str]
    failure_callbacks: _containers.RepeatedScalarFieldContainer[str]
    retention: _duration_pb2.Duration
    def __init__(self, service: _Optional[str] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., document: _Optional[bytes] = ..., data_format: _Optional[_Union[_outcome_pb2.DataFormat, str]] = ..., response_format: _Optional[_Union[_outcome_pb2.DataFormat, str]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., cid: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expiration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., retry_policy: _Optional[_Union[RetryPolicy, _Mapping]] = ..., on_exhausted: _Optional[_Union[OnExhausted, str]] = ..., concurrency_key: _Optional[str] = ..., callbacks: _Optional[_Iterable[str]] = ..., failure_callbacks: _Optional[_Iterable[str]] = ..., retention: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class InvokeAsyncResponse(_message.Message):
    __slots__ = ("cid", "already_accepted")
    CID_FIELD_NUMBER: _ClassVar[int]
    ALREADY_ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    cid: str
    already_accepted: bool
    def __init__(self, cid: _Optional[str] = ..., already_accepted: bool = ...) -> None: ...

class RetryPolicy(_message.Message):
    __slots__ = ("max_attempts", "initial_interval", "multiplier", "max_interval")
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    INITIAL_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    MULTIPLIER_FIELD_NUMBER: _ClassVar[int]
    MAX_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    max_attempts: int
    initial_interval: _duration_pb2.Duration
    multiplier: float
    max_interval: _duration_pb2.Duration
    def __init__(self, max_attempts: _Optional[int] = ..., initial_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., multiplier: _Optional[float] = ..., max_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class InvokeBatchRequest(_message.Message):
    __slots__ = ("requests", "cid", "idempotency_key", "on_each", "on_final", "retention")
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    CID_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    ON_EACH_FIELD_NUMBER: _ClassVar[int]
    ON_FINAL_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[InvokeAsyncRequest]
    cid: str
    idempotency_key: str
    on_each: _containers.RepeatedScalarFieldContainer[str]
    on_final: _containers.RepeatedScalarFieldContainer[str]
    retention: _duration_pb2.Duration
    def __init__(self, requests: _Optional[_Iterable[_Union[InvokeAsyncRequest, _Mapping]]] = ..., cid: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., on_each: _Optional[_Iterable[str]] = ..., on_final: _Optional[_Iterable[str]] = ..., retention: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class InvokeBatchResponse(_message.Message):
    __slots__ = ("cid", "member_cids", "already_accepted")
    CID_FIELD_NUMBER: _ClassVar[int]
    MEMBER_CIDS_FIELD_NUMBER: _ClassVar[int]
    ALREADY_ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    cid: str
    member_cids: _containers.RepeatedScalarFieldContainer[str]
    already_accepted: bool
    def __init__(self, cid: _Optional[str] = ..., member_cids: _Optional[_Iterable[str]] = ..., already_accepted: bool = ...) -> None: ...

class StreamResultsRequest(_message.Message):
    __slots__ = ("cids", "after_sequences", "wait_for_accept")
    class AfterSequencesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    CIDS_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQUENCES_FIELD_NUMBER: _ClassVar[int]
    WAIT_FOR_ACCEPT_FIELD_NUMBER: _ClassVar[int]
    cids: _containers.RepeatedScalarFieldContainer[str]
    after_sequences: _containers.ScalarMap[str, int]
    wait_for_accept: bool
    def __init__(self, cids: _Optional[_Iterable[str]] = ..., after_sequences: _Optional[_Mapping[str, int]] = ..., wait_for_accept: bool = ...) -> None: ...

class StreamResultsResponse(_message.Message):
    __slots__ = ("cid", "sequence", "attempt", "event_time", "accepted", "started", "progress", "item", "retry_scheduled", "succeeded", "failed", "cancelled", "expired", "not_found", "run")
    CID_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    RETRY_SCHEDULED_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    NOT_FOUND_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    cid: str
    sequence: int
    attempt: int
    event_time: _timestamp_pb2.Timestamp
    accepted: AcceptedEvent
    started: StartedEvent
    progress: ProgressEvent
    item: ItemEvent
    retry_scheduled: RetryScheduledEvent
    succeeded: SucceededEvent
    failed: FailedEvent
    cancelled: CancelledEvent
    expired: ExpiredEvent
    not_found: NotFoundEvent
    run: int
    def __init__(self, cid: _Optional[str] = ..., sequence: _Optional[int] = ..., attempt: _Optional[int] = ..., event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., accepted: _Optional[_Union[AcceptedEvent, _Mapping]] = ..., started: _Optional[_Union[StartedEvent, _Mapping]] = ..., progress: _Optional[_Union[ProgressEvent, _Mapping]] = ..., item: _Optional[_Union[ItemEvent, _Mapping]] = ..., retry_scheduled: _Optional[_Union[RetryScheduledEvent, _Mapping]] = ..., succeeded: _Optional[_Union[SucceededEvent, _Mapping]] = ..., failed: _Optional[_Union[FailedEvent, _Mapping]] = ..., cancelled: _Optional[_Union[CancelledEvent, _Mapping]] = ..., expired: _Optional[_Union[ExpiredEvent, _Mapping]] = ..., not_found: _Optional[_Union[NotFoundEvent, _Mapping]] = ..., run: _Optional[int] = ...) -> None: ...

class AcceptedEvent(_message.Message):
    __slots__ = ("service", "start_time")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    service: str
    start_time: _timestamp_pb2.Timestamp
    def __init__(self, service: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class StartedEvent(_message.Message):
    __slots__ = ("worker",)
    WORKER_FIELD_NUMBER: _ClassVar[int]
    worker: str
    def __init__(self, worker: _Optional[str] = ...) -> None: ...

class ProgressEvent(_message.Message):
    __slots__ = ("progress",)
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    progress: _outcome_pb2.Progress
    def __init__(self, progress: _Optional[_Union[_outcome_pb2.Progress, _Mapping]] = ...) -> None: ...

class ItemEvent(_message.Message):
    __slots__ = ("payload", "value")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    payload: _struct_pb2.Struct
    value: _struct_pb2.Value
    def __init__(self, payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...

class RetryScheduledEvent(_message.Message):
    __slots__ = ("failure", "start_time")
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    failure: _outcome_pb2.Failure
    start_time: _timestamp_pb2.Timestamp
    def __init__(self, failure: _Optional[_Union[_outcome_pb2.Failure, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SucceededEvent(_message.Message):
    __slots__ = ("payload", "value", "document", "data_format", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    DATA_FORMAT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    payload: _struct_pb2.Struct
    value: _struct_pb2.Value
    document: bytes
    data_format: _outcome_pb2.DataFormat
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., document: _Optional[bytes] = ..., data_format: _Optional[_Union[_outcome_pb2.DataFormat, str]] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class FailedEvent(_message.Message):
    __slots__ = ("failure",)
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    failure: _outcome_pb2.Failure
    def __init__(self, failure: _Optional[_Union[_outcome_pb2.Failure, _Mapping]] = ...) -> None: ...

class CancelledEvent(_message.Message):
    __slots__ = ("failure",)
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    failure: _outcome_pb2.Failure
    def __init__(self, failure: _Optional[_Union[_outcome_pb2.Failure, _Mapping]] = ...) -> None: ...

class ExpiredEvent(_message.Message):
    __slots__ = ("failure",)
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    failure: _outcome_pb2.Failure
    def __init__(self, failure: _Optional[_Union[_outcome_pb2.Failure, _Mapping]] = ...) -> None: ...

class NotFoundEvent(_message.Message):
    __slots__ = ("reason", "message", "state", "end_time")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    state: _outcome_pb2.State
    end_time: _timestamp_pb2.Timestamp
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., state: _Optional[_Union[_outcome_pb2.State, str]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetInvocationRequest(_message.Message):
    __slots__ = ("cid", "service", "idempotency_key", "wait", "view", "typed")
    CID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    TYPED_FIELD_NUMBER: _ClassVar[int]
    cid: str
    service: str
    idempotency_key: str
    wait: _duration_pb2.Duration
    view: InvocationView
    typed: bool
    def __init__(self, cid: _Optional[str] = ..., service: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., wait: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., view: _Optional[_Union[InvocationView, str]] = ..., typed: bool = ...) -> None: ...

class GetInvocationResponse(_message.Message):
    __slots__ = ("invocation",)
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    invocation: _outcome_pb2.Invocation
    def __init__(self, invocation: _Optional[_Union[_outcome_pb2.Invocation, _Mapping]] = ...) -> None: ...

class InvocationFilter(_message.Message):
    __slots__ = ("services", "states", "pending_reasons", "failure_reasons", "accepted_after", "accepted_before", "ended_after", "ended_before", "parent_cid", "root_cid", "group_cid", "metadata", "failure_text", "dead_letter", "principals", "groups_only")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    PENDING_REASONS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_REASONS_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_AFTER_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    ENDED_AFTER_FIELD_NUMBER: _ClassVar[int]
    ENDED_BEFORE_FIELD_NUMBER: _ClassVar[int]
    PARENT_CID_FIELD_NUMBER: _ClassVar[int]
    ROOT_CID_FIELD_NUMBER: _ClassVar[int]
    GROUP_CID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    FAILURE_TEXT_FIELD_NUMBER: _ClassVar[int]
    DEAD_LETTER_FIELD_NUMBER: _ClassVar[int]
    PRINCIPALS_FIELD_NUMBER: _ClassVar[int]
    GROUPS_ONLY_FIELD_NUMBER: _ClassVar[int]
    services: _containers.RepeatedScalarFieldContainer[str]
    states: _containers.RepeatedScalarFieldContainer[_outcome_pb2.State]
    pending_reasons: _containers.RepeatedScalarFieldContainer[_outcome_pb2.PendingReason]
    failure_reasons: _containers.RepeatedScalarFieldContainer[str]
    accepted_after: _timestamp_pb2.Timestamp
    accepted_before: _timestamp_pb2.Timestamp
    ended_after: _timestamp_pb2.Timestamp
    ended_before: _timestamp_pb2.Timestamp
    parent_cid: str
    root_cid: str
    group_cid: str
    metadata: _containers.ScalarMap[str, str]
    failure_text: str
    dead_letter: bool
    principals: _containers.RepeatedScalarFieldContainer[str]
    groups_only: bool
    def __init__(self, services: _Optional[_Iterable[str]] = ..., states: _Optional[_Iterable[_Union[_outcome_pb2.State, str]]] = ..., pending_reasons: _Optional[_Iterable[_Union[_outcome_pb2.PendingReason, str]]] = ..., failure_reasons: _Optional[_Iterable[str]] = ..., accepted_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., accepted_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_after: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ended_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., parent_cid: _Optional[str] = ..., root_cid: _Optional[str] = ..., group_cid: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., failure_text: _Optional[str] = ..., dead_letter: bool = ..., principals: _Optional[_Iterable[str]] = ..., groups_only: bool = ...) -> None: ...

class InvocationSummary(_message.Message):
    __slots__ = ("service", "state", "pending_reason", "failure_reason", "count", "first_accept_time", "last_accept_time", "last_end_time", "example_cid", "example_message")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PENDING_REASON_FIELD_NUMBER: _ClassVar[int]
    FAILURE_REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    FIRST_ACCEPT_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_ACCEPT_TIME_FIELD_NUMBER: _ClassVar[int]
    LAST_END_TIME_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_CID_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    service: str
    state: _outcome_pb2.State
    pending_reason: _outcome_pb2.PendingReason
    failure_reason: str
    count: int
    first_accept_time: _timestamp_pb2.Timestamp
    last_accept_time: _timestamp_pb2.Timestamp
    last_end_time: _timestamp_pb2.Timestamp
    example_cid: str
    example_message: str
    def __init__(self, service: _Optional[str] = ..., state: _Optional[_Union[_outcome_pb2.State, str]] = ..., pending_reason: _Optional[_Union[_outcome_pb2.PendingReason, str]] = ..., failure_reason: _Optional[str] = ..., count: _Optional[int] = ..., first_accept_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_accept_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., example_cid: _Optional[str] = ..., example_message: _Optional[str] = ...) -> None: ...

class SummarizeInvocationsRequest(_message.Message):
    __slots__ = ("filter", "filter_expression")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    filter: InvocationFilter
    filter_expression: str
    def __init__(self, filter: _Optional[_Union[InvocationFilter, _Mapping]] = ..., filter_expression: _Optional[str] = ...) -> None: ...

class SummarizeInvocationsResponse(_message.Message):
    __slots__ = ("summaries", "total")
    SUMMARIES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    summaries: _containers.RepeatedCompositeFieldContainer[InvocationSummary]
    total: int
    def __init__(self, summaries: _Optional[_Iterable[_Union[InvocationSummary, _Mapping]]] = ..., total: _Optional[int] = ...) -> None: ...

class ListInvocationsRequest(_message.Message):
    __slots__ = ("filter", "page_size", "page_token", "view", "filter_expression")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    filter: InvocationFilter
    page_size: int
    page_token: str
    view: InvocationView
    filter_expression: str
    def __init__(self, filter: _Optional[_Union[InvocationFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., view: _Optional[_Union[InvocationView, str]] = ..., filter_expression: _Optional[str] = ...) -> None: ...

class ListInvocationsResponse(_message.Message):
    __slots__ = ("invocations", "next_page_token")
    INVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    invocations: _containers.RepeatedCompositeFieldContainer[_outcome_pb2.Invocation]
    next_page_token: str
    def __init__(self, invocations: _Optional[_Iterable[_Union[_outcome_pb2.Invocation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class InvocationChange(_message.Message):
    __slots__ = ("cid", "state", "cancel_requested", "new_cid", "failure")
    CID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    NEW_CID_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    cid: str
    state: _outcome_pb2.State
    cancel_requested: bool
    new_cid: str
    failure: _outcome_pb2.Failure
    def __init__(self, cid: _Optional[str] = ..., state: _Optional[_Union[_outcome_pb2.State, str]] = ..., cancel_requested: bool = ..., new_cid: _Optional[str] = ..., failure: _Optional[_Union[_outcome_pb2.Failure, _Mapping]] = ...) -> None: ...

class CancelInvocationsRequest(_message.Message):
    __slots__ = ("cids", "filter", "dry_run", "page_token", "reason", "all", "filter_expression")
    CIDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    cids: _containers.RepeatedScalarFieldContainer[str]
    filter: InvocationFilter
    dry_run: bool
    page_token: str
    reason: str
    all: bool
    filter_expression: str
    def __init__(self, cids: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[InvocationFilter, _Mapping]] = ..., dry_run: bool = ..., page_token: _Optional[str] = ..., reason: _Optional[str] = ..., all: bool = ..., filter_expression: _Optional[str] = ...) -> None: ...

class CancelInvocationsResponse(_message.Message):
    __slots__ = ("changes", "next_page_token")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[InvocationChange]
    next_page_token: str
    def __init__(self, changes: _Optional[_Iterable[_Union[InvocationChange, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RetryInvocationsRequest(_message.Message):
    __slots__ = ("cids", "filter", "dry_run", "page_token", "payload", "value", "document", "data_format", "all", "filter_expression")
    CIDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    DATA_FORMAT_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    cids: _containers.RepeatedScalarFieldContainer[str]
    filter: InvocationFilter
    dry_run: bool
    page_token: str
    payload: _struct_pb2.Struct
    value: _struct_pb2.Value
    document: bytes
    data_format: _outcome_pb2.DataFormat
    all: bool
    filter_expression: str
    def __init__(self, cids: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[InvocationFilter, _Mapping]] = ..., dry_run: bool = ..., page_token: _Optional[str] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., document: _Optional[bytes] = ..., data_format: _Optional[_Union[_outcome_pb2.DataFormat, str]] = ..., all: bool = ..., filter_expression: _Optional[str] = ...) -> None: ...

class RetryInvocationsResponse(_message.Message):
    __slots__ = ("changes", "next_page_token")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[InvocationChange]
    next_page_token: str
    def __init__(self, changes: _Optional[_Iterable[_Union[InvocationChange, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class PurgeInvocationsRequest(_message.Message):
    __slots__ = ("cids", "filter", "dry_run", "page_token", "all", "filter_expression")
    CIDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    cids: _containers.RepeatedScalarFieldContainer[str]
    filter: InvocationFilter
    dry_run: bool
    page_token: str
    all: bool
    filter_expression: str
    def __init__(self, cids: _Optional[_Iterable[str]] = ..., filter: _Optional[_Union[InvocationFilter, _Mapping]] = ..., dry_run: bool = ..., page_token: _Optional[str] = ..., all: bool = ..., filter_expression: _Optional[str] = ...) -> None: ...

class PurgeInvocationsResponse(_message.Message):
    __slots__ = ("changes", "next_page_token")
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[InvocationChange]
    next_page_token: str
    def __init__(self, changes: _Optional[_Iterable[_Union[InvocationChange, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CompleteInvocationRequest(_message.Message):
    __slots__ = ("cid", "token", "payload", "value", "document", "failure", "data_format", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    DATA_FORMAT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    cid: str
    token: str
    payload: _struct_pb2.Struct
    value: _struct_pb2.Value
    document: bytes
    failure: _outcome_pb2.Failure
    data_format: _outcome_pb2.DataFormat
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, cid: _Optional[str] = ..., token: _Optional[str] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., document: _Optional[bytes] = ..., failure: _Optional[_Union[_outcome_pb2.Failure, _Mapping]] = ..., data_format: _Optional[_Union[_outcome_pb2.DataFormat, str]] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class CompleteInvocationResponse(_message.Message):
    __slots__ = ("state",)
    STATE_FIELD_NUMBER: _ClassVar[int]
    state: _outcome_pb2.State
    def __init__(self, state: _Optional[_Union[_outcome_pb2.State, str]] = ...) -> None: ...
