from cidery.v1 import service_pb2 as _service_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ServiceHealth(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SERVICE_HEALTH_UNSPECIFIED: _ClassVar[ServiceHealth]
    SERVICE_HEALTH_SERVING: _ClassVar[ServiceHealth]
    SERVICE_HEALTH_NO_WORKER: _ClassVar[ServiceHealth]
    SERVICE_HEALTH_PAUSED: _ClassVar[ServiceHealth]
    SERVICE_HEALTH_DISABLED: _ClassVar[ServiceHealth]
SERVICE_HEALTH_UNSPECIFIED: ServiceHealth
SERVICE_HEALTH_SERVING: ServiceHealth
SERVICE_HEALTH_NO_WORKER: ServiceHealth
SERVICE_HEALTH_PAUSED: ServiceHealth
SERVICE_HEALTH_DISABLED: ServiceHealth

class ListServicesRequest(_message.Message):
    __slots__ = ("name_prefix", "page_size", "page_token")
    NAME_PREFIX_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    name_prefix: str
    page_size: int
    page_token: str
    def __init__(self, name_prefix: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListServicesResponse(_message.Message):
    __slots__ = ("services", "next_page_token")
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    services: _containers.RepeatedCompositeFieldContainer[ServiceSummary]
    next_page_token: str
    def __init__(self, services: _Optional[_Iterable[_Union[ServiceSummary, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class ServiceSummary(_message.Message):
    __slots__ = ("name", "description", "health", "typed_method", "running", "pending", "locations", "workers")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    TYPED_METHOD_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    health: ServiceHealth
    typed_method: str
    running: int
    pending: int
    locations: int
    workers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., health: _Optional[_Union[ServiceHealth, str]] = ..., typed_method: _Optional[str] = ..., running: _Optional[int] = ..., pending: _Optional[int] = ..., locations: _Optional[int] = ..., workers: _Optional[_Iterable[str]] = ...) -> None: ...

class GetServiceRequest(_message.Message):
    __slots__ = ("service",)
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    service: str
    def __init__(self, service: _Optional[str] = ...) -> None: ...

class GetServiceResponse(_message.Message):
    __slots__ = ("service",)
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    service: ServiceDescription
    def __init__(self, service: _Optional[_Union[ServiceDescription, _Mapping]] = ...) -> None: ...

class ServiceDescription(_message.Message):
    __slots__ = ("declaration", "effective_options", "health", "locations", "input_schema", "output_schema", "typed_method", "typed_method_note", "examples", "other_declarations", "running", "pending", "queued", "control", "last_served_time")
    DECLARATION_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_OPTIONS_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    INPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    TYPED_METHOD_FIELD_NUMBER: _ClassVar[int]
    TYPED_METHOD_NOTE_FIELD_NUMBER: _ClassVar[int]
    EXAMPLES_FIELD_NUMBER: _ClassVar[int]
    OTHER_DECLARATIONS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    LAST_SERVED_TIME_FIELD_NUMBER: _ClassVar[int]
    declaration: _service_pb2.ServiceDeclaration
    effective_options: _service_pb2.ServiceOptions
    health: ServiceHealth
    locations: _containers.RepeatedCompositeFieldContainer[ServiceLocation]
    input_schema: str
    output_schema: str
    typed_method: str
    typed_method_note: str
    examples: _containers.RepeatedCompositeFieldContainer[CallExample]
    other_declarations: _containers.RepeatedCompositeFieldContainer[_service_pb2.ServiceDeclaration]
    running: int
    pending: int
    queued: int
    control: _service_pb2.ServiceControl
    last_served_time: _timestamp_pb2.Timestamp
    def __init__(self, declaration: _Optional[_Union[_service_pb2.ServiceDeclaration, _Mapping]] = ..., effective_options: _Optional[_Union[_service_pb2.ServiceOptions, _Mapping]] = ..., health: _Optional[_Union[ServiceHealth, str]] = ..., locations: _Optional[_Iterable[_Union[ServiceLocation, _Mapping]]] = ..., input_schema: _Optional[str] = ..., output_schema: _Optional[str] = ..., typed_method: _Optional[str] = ..., typed_method_note: _Optional[str] = ..., examples: _Optional[_Iterable[_Union[CallExample, _Mapping]]] = ..., other_declarations: _Optional[_Iterable[_Union[_service_pb2.ServiceDeclaration, _Mapping]]] = ..., running: _Optional[int] = ..., pending: _Optional[int] = ..., queued: _Optional[int] = ..., control: _Optional[_Union[_service_pb2.ServiceControl, _Mapping]] = ..., last_served_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ServiceLocation(_message.Message):
    __slots__ = ("worker_id", "worker_name", "build_id", "declaration_hash", "running", "since_time", "away")
    WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    WORKER_NAME_FIELD_NUMBER: _ClassVar[int]
    BUILD_ID_FIELD_NUMBER: _ClassVar[int]
    DECLARATION_HASH_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    SINCE_TIME_FIELD_NUMBER: _ClassVar[int]
    AWAY_FIELD_NUMBER: _ClassVar[int]
    worker_id: str
    worker_name: str
    build_id: str
    declaration_hash: str
    running: int
    since_time: _timestamp_pb2.Timestamp
    away: bool
    def __init__(self, worker_id: _Optional[str] = ..., worker_name: _Optional[str] = ..., build_id: _Optional[str] = ..., declaration_hash: _Optional[str] = ..., running: _Optional[int] = ..., since_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., away: bool = ...) -> None: ...

class CallExample(_message.Message):
    __slots__ = ("tool", "text")
    TOOL_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    tool: str
    text: str
    def __init__(self, tool: _Optional[str] = ..., text: _Optional[str] = ...) -> None: ...
