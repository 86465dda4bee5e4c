from google.protobuf import any_pb2 as _any_pb2
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

class DataFormat(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATA_FORMAT_UNSPECIFIED: _ClassVar[DataFormat]
    DATA_FORMAT_DICT: _ClassVar[DataFormat]
    DATA_FORMAT_JSON: _ClassVar[DataFormat]
    DATA_FORMAT_CSV: _ClassVar[DataFormat]
    DATA_FORMAT_TEXT: _ClassVar[DataFormat]
    DATA_FORMAT_FORM: _ClassVar[DataFormat]

class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATE_UNSPECIFIED: _ClassVar[State]
    STATE_PENDING: _ClassVar[State]
    STATE_RUNNING: _ClassVar[State]
    STATE_SUCCEEDED: _ClassVar[State]
    STATE_FAILED: _ClassVar[State]
    STATE_CANCELLED: _ClassVar[State]
    STATE_EXPIRED: _ClassVar[State]

class PendingReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PENDING_REASON_UNSPECIFIED: _ClassVar[PendingReason]
    PENDING_REASON_DUE_LATER: _ClassVar[PendingReason]
    PENDING_REASON_QUEUED: _ClassVar[PendingReason]
    PENDING_REASON_BACKOFF: _ClassVar[PendingReason]
    PENDING_REASON_NO_WORKER: _ClassVar[PendingReason]
    PENDING_REASON_NO_COMPATIBLE_WORKER: _ClassVar[PendingReason]
    PENDING_REASON_KEY_BUSY: _ClassVar[PendingReason]
    PENDING_REASON_PAUSED: _ClassVar[PendingReason]
    PENDING_REASON_HELD: _ClassVar[PendingReason]

class Code(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CODE_UNSPECIFIED: _ClassVar[Code]
    CODE_CANCELLED: _ClassVar[Code]
    CODE_UNKNOWN: _ClassVar[Code]
    CODE_INVALID_ARGUMENT: _ClassVar[Code]
    CODE_DEADLINE_EXCEEDED: _ClassVar[Code]
    CODE_NOT_FOUND: _ClassVar[Code]
    CODE_ALREADY_EXISTS: _ClassVar[Code]
    CODE_PERMISSION_DENIED: _ClassVar[Code]
    CODE_RESOURCE_EXHAUSTED: _ClassVar[Code]
    CODE_FAILED_PRECONDITION: _ClassVar[Code]
    CODE_ABORTED: _ClassVar[Code]
    CODE_OUT_OF_RANGE: _ClassVar[Code]
    CODE_UNIMPLEMENTED: _ClassVar[Code]
    CODE_INTERNAL: _ClassVar[Code]
    CODE_UNAVAILABLE: _ClassVar[Code]
    CODE_DATA_LOSS: _ClassVar[Code]
    CODE_UNAUTHENTICATED: _ClassVar[Code]
DATA_FORMAT_UNSPECIFIED: DataFormat
DATA_FORMAT_DICT: DataFormat
DATA_FORMAT_JSON: DataFormat
DATA_FORMAT_CSV: DataFormat
DATA_FORMAT_TEXT: DataFormat
DATA_FORMAT_FORM: DataFormat
STATE_UNSPECIFIED: State
STATE_PENDING: State
STATE_RUNNING: State
STATE_SUCCEEDED: State
STATE_FAILED: State
STATE_CANCELLED: State
STATE_EXPIRED: State
PENDING_REASON_UNSPECIFIED: PendingReason
PENDING_REASON_DUE_LATER: PendingReason
PENDING_REASON_QUEUED: PendingReason
PENDING_REASON_BACKOFF: PendingReason
PENDING_REASON_NO_WORKER: PendingReason
PENDING_REASON_NO_COMPATIBLE_WORKER: PendingReason
PENDING_REASON_KEY_BUSY: PendingReason
PENDING_REASON_PAUSED: PendingReason
PENDING_REASON_HELD: PendingReason
CODE_UNSPECIFIED: Code
CODE_CANCELLED: Code
CODE_UNKNOWN: Code
CODE_INVALID_ARGUMENT: Code
CODE_DEADLINE_EXCEEDED: Code
CODE_NOT_FOUND: Code
CODE_ALREADY_EXISTS: Code
CODE_PERMISSION_DENIED: Code
CODE_RESOURCE_EXHAUSTED: Code
CODE_FAILED_PRECONDITION: Code
CODE_ABORTED: Code
CODE_OUT_OF_RANGE: Code
CODE_UNIMPLEMENTED: Code
CODE_INTERNAL: Code
CODE_UNAVAILABLE: Code
CODE_DATA_LOSS: Code
CODE_UNAUTHENTICATED: Code

class Failure(_message.Message):
    __slots__ = ("code", "reason", "message", "retryable", "retry_delay", "details")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    code: Code
    reason: str
    message: str
    retryable: bool
    retry_delay: _duration_pb2.Duration
    details: _containers.RepeatedCompositeFieldContainer[_any_pb2.Any]
    def __init__(self, code: _Optional[_Union[Code, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., retryable: bool = ..., retry_delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., details: _Optional[_Iterable[_Union[_any_pb2.Any, _Mapping]]] = ...) -> None: ...

class Progress(_message.Message):
    __slots__ = ("fraction", "message", "value")
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    fraction: float
    message: str
    value: _struct_pb2.Value
    def __init__(self, fraction: _Optional[float] = ..., message: _Optional[str] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ...) -> None: ...

class Outcome(_message.Message):
    __slots__ = ("payload", "value", "document", "failure", "typed", "data_format", "metadata")
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
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    TYPED_FIELD_NUMBER: _ClassVar[int]
    DATA_FORMAT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    payload: _struct_pb2.Struct
    value: _struct_pb2.Value
    document: bytes
    failure: Failure
    typed: _any_pb2.Any
    data_format: DataFormat
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., document: _Optional[bytes] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., typed: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., data_format: _Optional[_Union[DataFormat, str]] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Input(_message.Message):
    __slots__ = ("payload", "value", "document", "data_format")
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    DATA_FORMAT_FIELD_NUMBER: _ClassVar[int]
    payload: _struct_pb2.Struct
    value: _struct_pb2.Value
    document: bytes
    data_format: DataFormat
    def __init__(self, payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., document: _Optional[bytes] = ..., data_format: _Optional[_Union[DataFormat, str]] = ...) -> None: ...

class Attempt(_message.Message):
    __slots__ = ("number", "worker", "start_time", "end_time", "failure", "trace", "nested_calls", "omitted_nested_calls")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    NESTED_CALLS_FIELD_NUMBER: _ClassVar[int]
    OMITTED_NESTED_CALLS_FIELD_NUMBER: _ClassVar[int]
    number: int
    worker: str
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    failure: Failure
    trace: str
    nested_calls: _containers.RepeatedCompositeFieldContainer[NestedCall]
    omitted_nested_calls: int
    def __init__(self, number: _Optional[int] = ..., worker: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., trace: _Optional[str] = ..., nested_calls: _Optional[_Iterable[_Union[NestedCall, _Mapping]]] = ..., omitted_nested_calls: _Optional[int] = ...) -> None: ...

class NestedCall(_message.Message):
    __slots__ = ("service", "caller", "depth", "start_time", "end_time", "failure")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    service: str
    caller: str
    depth: int
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    failure: Failure
    def __init__(self, service: _Optional[str] = ..., caller: _Optional[str] = ..., depth: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ...) -> None: ...

class Invocation(_message.Message):
    __slots__ = ("cid", "service", "state", "pending_reason", "cancel_requested", "waiting_for_completion", "attempt", "accept_time", "start_time", "first_attempt_time", "end_time", "expire_time", "deadline", "purge_time", "parent_cid", "root_cid", "group_cid", "retry_of", "in_reply_to", "idempotency_key", "concurrency_key", "principal", "metadata", "progress", "outcome", "last_failure", "input", "attempts", "child_cids", "callback_cids", "sequence", "group_position", "group", "retried_as", "invocations_ahead", "key_holder_cid", "max_attempts", "acting_principal", "paused")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PENDING_REASON_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    WAITING_FOR_COMPLETION_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    FIRST_ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    PURGE_TIME_FIELD_NUMBER: _ClassVar[int]
    PARENT_CID_FIELD_NUMBER: _ClassVar[int]
    ROOT_CID_FIELD_NUMBER: _ClassVar[int]
    GROUP_CID_FIELD_NUMBER: _ClassVar[int]
    RETRY_OF_FIELD_NUMBER: _ClassVar[int]
    IN_REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    IDEMPOTENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_KEY_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_FIELD_NUMBER: _ClassVar[int]
    INPUT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    CHILD_CIDS_FIELD_NUMBER: _ClassVar[int]
    CALLBACK_CIDS_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    GROUP_POSITION_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    RETRIED_AS_FIELD_NUMBER: _ClassVar[int]
    INVOCATIONS_AHEAD_FIELD_NUMBER: _ClassVar[int]
    KEY_HOLDER_CID_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    ACTING_PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    cid: str
    service: str
    state: State
    pending_reason: PendingReason
    cancel_requested: bool
    waiting_for_completion: bool
    attempt: int
    accept_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    first_attempt_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    deadline: _timestamp_pb2.Timestamp
    purge_time: _timestamp_pb2.Timestamp
    parent_cid: str
    root_cid: str
    group_cid: str
    retry_of: str
    in_reply_to: str
    idempotency_key: str
    concurrency_key: str
    principal: str
    metadata: _containers.ScalarMap[str, str]
    progress: Progress
    outcome: Outcome
    last_failure: Failure
    input: Input
    attempts: _containers.RepeatedCompositeFieldContainer[Attempt]
    child_cids: _containers.RepeatedScalarFieldContainer[str]
    callback_cids: _containers.RepeatedScalarFieldContainer[str]
    sequence: int
    group_position: int
    group: Group
    retried_as: str
    invocations_ahead: int
    key_holder_cid: str
    max_attempts: int
    acting_principal: str
    paused: bool
    def __init__(self, cid: _Optional[str] = ..., service: _Optional[str] = ..., state: _Optional[_Union[State, str]] = ..., pending_reason: _Optional[_Union[PendingReason, str]] = ..., cancel_requested: bool = ..., waiting_for_completion: bool = ..., attempt: _Optional[int] = ..., accept_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., first_attempt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., purge_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., parent_cid: _Optional[str] = ..., root_cid: _Optional[str] = ..., group_cid: _Optional[str] = ..., retry_of: _Optional[str] = ..., in_reply_to: _Optional[str] = ..., idempotency_key: _Optional[str] = ..., concurrency_key: _Optional[str] = ..., principal: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., progress: _Optional[_Union[Progress, _Mapping]] = ..., outcome: _Optional[_Union[Outcome, _Mapping]] = ..., last_failure: _Optional[_Union[Failure, _Mapping]] = ..., input: _Optional[_Union[Input, _Mapping]] = ..., attempts: _Optional[_Iterable[_Union[Attempt, _Mapping]]] = ..., child_cids: _Optional[_Iterable[str]] = ..., callback_cids: _Optional[_Iterable[str]] = ..., sequence: _Optional[int] = ..., group_position: _Optional[int] = ..., group: _Optional[_Union[Group, _Mapping]] = ..., retried_as: _Optional[str] = ..., invocations_ahead: _Optional[int] = ..., key_holder_cid: _Optional[str] = ..., max_attempts: _Optional[int] = ..., acting_principal: _Optional[str] = ..., paused: bool = ...) -> None: ...

class Group(_message.Message):
    __slots__ = ("members", "ended", "on_each", "on_final")
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    ON_EACH_FIELD_NUMBER: _ClassVar[int]
    ON_FINAL_FIELD_NUMBER: _ClassVar[int]
    members: int
    ended: int
    on_each: _containers.RepeatedScalarFieldContainer[str]
    on_final: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, members: _Optional[int] = ..., ended: _Optional[int] = ..., on_each: _Optional[_Iterable[str]] = ..., on_final: _Optional[_Iterable[str]] = ...) -> None: ...
