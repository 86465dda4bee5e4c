from cidery.v1 import invocation_pb2 as _invocation_pb2
from cidery.v1 import outcome_pb2 as _outcome_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OperationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OPERATION_STATE_UNSPECIFIED: _ClassVar[OperationState]
    OPERATION_STATE_RUNNING: _ClassVar[OperationState]
    OPERATION_STATE_SUCCEEDED: _ClassVar[OperationState]
    OPERATION_STATE_CANCELLED: _ClassVar[OperationState]
    OPERATION_STATE_FAILED: _ClassVar[OperationState]
OPERATION_STATE_UNSPECIFIED: OperationState
OPERATION_STATE_RUNNING: OperationState
OPERATION_STATE_SUCCEEDED: OperationState
OPERATION_STATE_CANCELLED: OperationState
OPERATION_STATE_FAILED: OperationState

class Operation(_message.Message):
    __slots__ = ("id", "action", "filter", "all", "state", "create_time", "end_time", "matched", "processed", "changed", "refusals", "max_per_second", "failure", "principal", "filter_expression", "principal_group")
    ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    MATCHED_FIELD_NUMBER: _ClassVar[int]
    PROCESSED_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    MAX_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_GROUP_FIELD_NUMBER: _ClassVar[int]
    id: str
    action: OperationAction
    filter: _invocation_pb2.InvocationFilter
    all: bool
    state: OperationState
    create_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    matched: int
    processed: int
    changed: int
    refusals: _containers.RepeatedCompositeFieldContainer[OperationRefusal]
    max_per_second: int
    failure: _outcome_pb2.Failure
    principal: str
    filter_expression: str
    principal_group: str
    def __init__(self, id: _Optional[str] = ..., action: _Optional[_Union[OperationAction, _Mapping]] = ..., filter: _Optional[_Union[_invocation_pb2.InvocationFilter, _Mapping]] = ..., all: bool = ..., state: _Optional[_Union[OperationState, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., matched: _Optional[int] = ..., processed: _Optional[int] = ..., changed: _Optional[int] = ..., refusals: _Optional[_Iterable[_Union[OperationRefusal, _Mapping]]] = ..., max_per_second: _Optional[int] = ..., failure: _Optional[_Union[_outcome_pb2.Failure, _Mapping]] = ..., principal: _Optional[str] = ..., filter_expression: _Optional[str] = ..., principal_group: _Optional[str] = ...) -> None: ...

class OperationAction(_message.Message):
    __slots__ = ("cancel", "retry", "release", "purge")
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    RETRY_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    PURGE_FIELD_NUMBER: _ClassVar[int]
    cancel: CancelAction
    retry: RetryAction
    release: ReleaseAction
    purge: PurgeAction
    def __init__(self, cancel: _Optional[_Union[CancelAction, _Mapping]] = ..., retry: _Optional[_Union[RetryAction, _Mapping]] = ..., release: _Optional[_Union[ReleaseAction, _Mapping]] = ..., purge: _Optional[_Union[PurgeAction, _Mapping]] = ...) -> None: ...

class CancelAction(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class RetryAction(_message.Message):
    __slots__ = ("input_patch", "input_patch_json")
    INPUT_PATCH_FIELD_NUMBER: _ClassVar[int]
    INPUT_PATCH_JSON_FIELD_NUMBER: _ClassVar[int]
    input_patch: _struct_pb2.Value
    input_patch_json: str
    def __init__(self, input_patch: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., input_patch_json: _Optional[str] = ...) -> None: ...

class ReleaseAction(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PurgeAction(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class OperationRefusal(_message.Message):
    __slots__ = ("reason", "count", "example_cid", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_CID_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    count: int
    example_cid: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., count: _Optional[int] = ..., example_cid: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class StartOperationRequest(_message.Message):
    __slots__ = ("id", "action", "filter", "filter_expression", "all", "dry_run", "max_per_second")
    ID_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    DRY_RUN_FIELD_NUMBER: _ClassVar[int]
    MAX_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    id: str
    action: OperationAction
    filter: _invocation_pb2.InvocationFilter
    filter_expression: str
    all: bool
    dry_run: bool
    max_per_second: int
    def __init__(self, id: _Optional[str] = ..., action: _Optional[_Union[OperationAction, _Mapping]] = ..., filter: _Optional[_Union[_invocation_pb2.InvocationFilter, _Mapping]] = ..., filter_expression: _Optional[str] = ..., all: bool = ..., dry_run: bool = ..., max_per_second: _Optional[int] = ...) -> None: ...

class StartOperationResponse(_message.Message):
    __slots__ = ("operation", "summaries")
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    SUMMARIES_FIELD_NUMBER: _ClassVar[int]
    operation: Operation
    summaries: _containers.RepeatedCompositeFieldContainer[_invocation_pb2.InvocationSummary]
    def __init__(self, operation: _Optional[_Union[Operation, _Mapping]] = ..., summaries: _Optional[_Iterable[_Union[_invocation_pb2.InvocationSummary, _Mapping]]] = ...) -> None: ...

class GetOperationRequest(_message.Message):
    __slots__ = ("id", "wait")
    ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    id: str
    wait: bool
    def __init__(self, id: _Optional[str] = ..., wait: bool = ...) -> None: ...

class GetOperationResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: Operation
    def __init__(self, operation: _Optional[_Union[Operation, _Mapping]] = ...) -> None: ...

class ListOperationsRequest(_message.Message):
    __slots__ = ("states", "page_size", "page_token")
    STATES_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedScalarFieldContainer[OperationState]
    page_size: int
    page_token: str
    def __init__(self, states: _Optional[_Iterable[_Union[OperationState, str]]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListOperationsResponse(_message.Message):
    __slots__ = ("operations", "next_page_token")
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    operations: _containers.RepeatedCompositeFieldContainer[Operation]
    next_page_token: str
    def __init__(self, operations: _Optional[_Iterable[_Union[Operation, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelOperationRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class CancelOperationResponse(_message.Message):
    __slots__ = ("operation",)
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: Operation
    def __init__(self, operation: _Optional[_Union[Operation, _Mapping]] = ...) -> None: ...
