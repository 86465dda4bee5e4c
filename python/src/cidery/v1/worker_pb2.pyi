from cidery.v1 import invocation_pb2 as _invocation_pb2
from cidery.v1 import outcome_pb2 as _outcome_pb2
from cidery.v1 import service_pb2 as _service_pb2
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

class Capability(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAPABILITY_UNSPECIFIED: _ClassVar[Capability]
    CAPABILITY_RESUME: _ClassVar[Capability]
    CAPABILITY_CANCEL: _ClassVar[Capability]
    CAPABILITY_HAND_BACK: _ClassVar[Capability]
    CAPABILITY_LATER: _ClassVar[Capability]
    CAPABILITY_DRAIN: _ClassVar[Capability]
    CAPABILITY_BATCHING: _ClassVar[Capability]
CAPABILITY_UNSPECIFIED: Capability
CAPABILITY_RESUME: Capability
CAPABILITY_CANCEL: Capability
CAPABILITY_HAND_BACK: Capability
CAPABILITY_LATER: Capability
CAPABILITY_DRAIN: Capability
CAPABILITY_BATCHING: Capability

class ServeRequest(_message.Message):
    __slots__ = ("hello", "result", "progress", "item", "hand_back", "drain", "results")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    HAND_BACK_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    result: DispatchResult
    progress: DispatchProgress
    item: DispatchItem
    hand_back: HandBack
    drain: WorkerDrain
    results: _containers.RepeatedCompositeFieldContainer[DispatchResult]
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., result: _Optional[_Union[DispatchResult, _Mapping]] = ..., progress: _Optional[_Union[DispatchProgress, _Mapping]] = ..., item: _Optional[_Union[DispatchItem, _Mapping]] = ..., hand_back: _Optional[_Union[HandBack, _Mapping]] = ..., drain: _Optional[_Union[WorkerDrain, _Mapping]] = ..., results: _Optional[_Iterable[_Union[DispatchResult, _Mapping]]] = ...) -> None: ...

class ServeResponse(_message.Message):
    __slots__ = ("welcome", "dispatch", "cancel", "refused", "drain", "received", "drained", "output_invalid", "dispatches")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    DISPATCH_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    DRAINED_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_INVALID_FIELD_NUMBER: _ClassVar[int]
    DISPATCHES_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    dispatch: Dispatch
    cancel: CancelDispatch
    refused: Refused
    drain: NodeDrain
    received: Received
    drained: Drained
    output_invalid: OutputInvalid
    dispatches: _containers.RepeatedCompositeFieldContainer[Dispatch]
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., dispatch: _Optional[_Union[Dispatch, _Mapping]] = ..., cancel: _Optional[_Union[CancelDispatch, _Mapping]] = ..., refused: _Optional[_Union[Refused, _Mapping]] = ..., drain: _Optional[_Union[NodeDrain, _Mapping]] = ..., received: _Optional[_Union[Received, _Mapping]] = ..., drained: _Optional[_Union[Drained, _Mapping]] = ..., output_invalid: _Optional[_Union[OutputInvalid, _Mapping]] = ..., dispatches: _Optional[_Iterable[_Union[Dispatch, _Mapping]]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("name", "services", "max_in_flight", "capabilities", "build_id", "max_message_bytes", "session", "tokens")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    BUILD_ID_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    name: str
    services: _containers.RepeatedCompositeFieldContainer[_service_pb2.ServiceDeclaration]
    max_in_flight: int
    capabilities: _containers.RepeatedScalarFieldContainer[Capability]
    build_id: str
    max_message_bytes: int
    session: str
    tokens: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., services: _Optional[_Iterable[_Union[_service_pb2.ServiceDeclaration, _Mapping]]] = ..., max_in_flight: _Optional[int] = ..., capabilities: _Optional[_Iterable[_Union[Capability, str]]] = ..., build_id: _Optional[str] = ..., max_message_bytes: _Optional[int] = ..., session: _Optional[str] = ..., tokens: _Optional[_Iterable[str]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("worker_id", "session", "lease", "tokens", "capabilities")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    LEASE_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    session: str
    lease: _duration_pb2.Duration
    tokens: _containers.RepeatedScalarFieldContainer[str]
    capabilities: _containers.RepeatedScalarFieldContainer[Capability]
    def __init__(self, worker_id: _Optional[str] = ..., session: _Optional[str] = ..., lease: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., tokens: _Optional[_Iterable[str]] = ..., capabilities: _Optional[_Iterable[_Union[Capability, str]]] = ...) -> None: ...

class Dispatch(_message.Message):
    __slots__ = ("token", "cid", "service", "attempt", "payload", "value", "document", "data_format", "metadata", "timeout", "deadline", "traceparent", "parent_cid", "root_cid", "in_reply_to", "asynchronous", "last_progress", "principal", "in_reply_to_service", "in_reply_to_attempt", "path", "acting_principal", "tracestate")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    DATA_FORMAT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    PARENT_CID_FIELD_NUMBER: _ClassVar[int]
    ROOT_CID_FIELD_NUMBER: _ClassVar[int]
    IN_REPLY_TO_FIELD_NUMBER: _ClassVar[int]
    ASYNCHRONOUS_FIELD_NUMBER: _ClassVar[int]
    LAST_PROGRESS_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    IN_REPLY_TO_SERVICE_FIELD_NUMBER: _ClassVar[int]
    IN_REPLY_TO_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    ACTING_PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    TRACESTATE_FIELD_NUMBER: _ClassVar[int]
    token: str
    cid: str
    service: str
    attempt: int
    payload: _struct_pb2.Struct
    value: _struct_pb2.Value
    document: bytes
    data_format: _outcome_pb2.DataFormat
    metadata: _containers.ScalarMap[str, str]
    timeout: _duration_pb2.Duration
    deadline: _timestamp_pb2.Timestamp
    traceparent: str
    parent_cid: str
    root_cid: str
    in_reply_to: str
    asynchronous: bool
    last_progress: _outcome_pb2.Progress
    principal: str
    in_reply_to_service: str
    in_reply_to_attempt: int
    path: str
    acting_principal: str
    tracestate: str
    def __init__(self, token: _Optional[str] = ..., cid: _Optional[str] = ..., service: _Optional[str] = ..., attempt: _Optional[int] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., document: _Optional[bytes] = ..., data_format: _Optional[_Union[_outcome_pb2.DataFormat, str]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., deadline: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., traceparent: _Optional[str] = ..., parent_cid: _Optional[str] = ..., root_cid: _Optional[str] = ..., in_reply_to: _Optional[str] = ..., asynchronous: bool = ..., last_progress: _Optional[_Union[_outcome_pb2.Progress, _Mapping]] = ..., principal: _Optional[str] = ..., in_reply_to_service: _Optional[str] = ..., in_reply_to_attempt: _Optional[int] = ..., path: _Optional[str] = ..., acting_principal: _Optional[str] = ..., tracestate: _Optional[str] = ...) -> None: ...

class DispatchResult(_message.Message):
    __slots__ = ("token", "payload", "value", "document", "failure", "later", "data_format", "metadata", "follow_ups", "trace")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    LATER_FIELD_NUMBER: _ClassVar[int]
    DATA_FORMAT_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_UPS_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    token: str
    payload: _struct_pb2.Struct
    value: _struct_pb2.Value
    document: bytes
    failure: _outcome_pb2.Failure
    later: Later
    data_format: _outcome_pb2.DataFormat
    metadata: _containers.ScalarMap[str, str]
    follow_ups: _containers.RepeatedCompositeFieldContainer[_invocation_pb2.InvokeAsyncRequest]
    trace: str
    def __init__(self, token: _Optional[str] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., document: _Optional[bytes] = ..., failure: _Optional[_Union[_outcome_pb2.Failure, _Mapping]] = ..., later: _Optional[_Union[Later, _Mapping]] = ..., data_format: _Optional[_Union[_outcome_pb2.DataFormat, str]] = ..., metadata: _Optional[_Mapping[str, str]] = ..., follow_ups: _Optional[_Iterable[_Union[_invocation_pb2.InvokeAsyncRequest, _Mapping]]] = ..., trace: _Optional[str] = ...) -> None: ...

class Later(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DispatchProgress(_message.Message):
    __slots__ = ("token", "progress")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    token: str
    progress: _outcome_pb2.Progress
    def __init__(self, token: _Optional[str] = ..., progress: _Optional[_Union[_outcome_pb2.Progress, _Mapping]] = ...) -> None: ...

class DispatchItem(_message.Message):
    __slots__ = ("token", "payload", "value", "number")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    token: str
    payload: _struct_pb2.Struct
    value: _struct_pb2.Value
    number: int
    def __init__(self, token: _Optional[str] = ..., payload: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., value: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., number: _Optional[int] = ...) -> None: ...

class HandBack(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tokens: _Optional[_Iterable[str]] = ...) -> None: ...

class WorkerDrain(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CancelDispatch(_message.Message):
    __slots__ = ("token", "failure")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    token: str
    failure: _outcome_pb2.Failure
    def __init__(self, token: _Optional[str] = ..., failure: _Optional[_Union[_outcome_pb2.Failure, _Mapping]] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("token", "failure")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    token: str
    failure: _outcome_pb2.Failure
    def __init__(self, token: _Optional[str] = ..., failure: _Optional[_Union[_outcome_pb2.Failure, _Mapping]] = ...) -> None: ...

class OutputInvalid(_message.Message):
    __slots__ = ("token", "cid", "service", "failure")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CID_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    token: str
    cid: str
    service: str
    failure: _outcome_pb2.Failure
    def __init__(self, token: _Optional[str] = ..., cid: _Optional[str] = ..., service: _Optional[str] = ..., failure: _Optional[_Union[_outcome_pb2.Failure, _Mapping]] = ...) -> None: ...

class Received(_message.Message):
    __slots__ = ("tokens",)
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    tokens: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, tokens: _Optional[_Iterable[str]] = ...) -> None: ...

class Drained(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NodeDrain(_message.Message):
    __slots__ = ("grace",)
    GRACE_FIELD_NUMBER: _ClassVar[int]
    grace: _duration_pb2.Duration
    def __init__(self, grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
