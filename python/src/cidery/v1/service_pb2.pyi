from cidery.v1 import invocation_pb2 as _invocation_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ElementType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ELEMENT_TYPE_UNSPECIFIED: _ClassVar[ElementType]
    ELEMENT_TYPE_AS_IS: _ClassVar[ElementType]
    ELEMENT_TYPE_TEXT: _ClassVar[ElementType]
    ELEMENT_TYPE_INT: _ClassVar[ElementType]
    ELEMENT_TYPE_FLOAT: _ClassVar[ElementType]
    ELEMENT_TYPE_DECIMAL: _ClassVar[ElementType]
    ELEMENT_TYPE_BOOL: _ClassVar[ElementType]
    ELEMENT_TYPE_DATE: _ClassVar[ElementType]
    ELEMENT_TYPE_DATE_TIME: _ClassVar[ElementType]
    ELEMENT_TYPE_UUID: _ClassVar[ElementType]
    ELEMENT_TYPE_BYTES: _ClassVar[ElementType]
    ELEMENT_TYPE_LIST: _ClassVar[ElementType]
    ELEMENT_TYPE_DICT: _ClassVar[ElementType]
    ELEMENT_TYPE_DICT_LIST: _ClassVar[ElementType]
    ELEMENT_TYPE_CSV: _ClassVar[ElementType]
    ELEMENT_TYPE_SECRET: _ClassVar[ElementType]

class UnknownKeys(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    UNKNOWN_KEYS_UNSPECIFIED: _ClassVar[UnknownKeys]
    UNKNOWN_KEYS_DROP: _ClassVar[UnknownKeys]
    UNKNOWN_KEYS_KEEP: _ClassVar[UnknownKeys]
    UNKNOWN_KEYS_REFUSE: _ClassVar[UnknownKeys]

class EmptyStrings(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EMPTY_STRINGS_UNSPECIFIED: _ClassVar[EmptyStrings]
    EMPTY_STRINGS_REFUSE: _ClassVar[EmptyStrings]
    EMPTY_STRINGS_ABSENT: _ClassVar[EmptyStrings]
ELEMENT_TYPE_UNSPECIFIED: ElementType
ELEMENT_TYPE_AS_IS: ElementType
ELEMENT_TYPE_TEXT: ElementType
ELEMENT_TYPE_INT: ElementType
ELEMENT_TYPE_FLOAT: ElementType
ELEMENT_TYPE_DECIMAL: ElementType
ELEMENT_TYPE_BOOL: ElementType
ELEMENT_TYPE_DATE: ElementType
ELEMENT_TYPE_DATE_TIME: ElementType
ELEMENT_TYPE_UUID: ElementType
ELEMENT_TYPE_BYTES: ElementType
ELEMENT_TYPE_LIST: ElementType
ELEMENT_TYPE_DICT: ElementType
ELEMENT_TYPE_DICT_LIST: ElementType
ELEMENT_TYPE_CSV: ElementType
ELEMENT_TYPE_SECRET: ElementType
UNKNOWN_KEYS_UNSPECIFIED: UnknownKeys
UNKNOWN_KEYS_DROP: UnknownKeys
UNKNOWN_KEYS_KEEP: UnknownKeys
UNKNOWN_KEYS_REFUSE: UnknownKeys
EMPTY_STRINGS_UNSPECIFIED: EmptyStrings
EMPTY_STRINGS_REFUSE: EmptyStrings
EMPTY_STRINGS_ABSENT: EmptyStrings

class Element(_message.Message):
    __slots__ = ("name", "type", "optional", "default_json", "elements", "item", "number", "description", "one_of", "minimum", "maximum", "unknown_keys")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    OPTIONAL_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_JSON_FIELD_NUMBER: _ClassVar[int]
    ELEMENTS_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    ONE_OF_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_KEYS_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: ElementType
    optional: bool
    default_json: str
    elements: _containers.RepeatedCompositeFieldContainer[Element]
    item: Element
    number: int
    description: str
    one_of: _containers.RepeatedScalarFieldContainer[str]
    minimum: str
    maximum: str
    unknown_keys: UnknownKeys
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[ElementType, str]] = ..., optional: bool = ..., default_json: _Optional[str] = ..., elements: _Optional[_Iterable[_Union[Element, _Mapping]]] = ..., item: _Optional[_Union[Element, _Mapping]] = ..., number: _Optional[int] = ..., description: _Optional[str] = ..., one_of: _Optional[_Iterable[str]] = ..., minimum: _Optional[str] = ..., maximum: _Optional[str] = ..., unknown_keys: _Optional[_Union[UnknownKeys, str]] = ...) -> None: ...

class Elements(_message.Message):
    __slots__ = ("elements", "list", "unknown_keys", "value")
    ELEMENTS_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_KEYS_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    elements: _containers.RepeatedCompositeFieldContainer[Element]
    list: bool
    unknown_keys: UnknownKeys
    value: bool
    def __init__(self, elements: _Optional[_Iterable[_Union[Element, _Mapping]]] = ..., list: bool = ..., unknown_keys: _Optional[_Union[UnknownKeys, str]] = ..., value: bool = ...) -> None: ...

class CsvOptions(_message.Message):
    __slots__ = ("no_header", "delimiter", "quote")
    NO_HEADER_FIELD_NUMBER: _ClassVar[int]
    DELIMITER_FIELD_NUMBER: _ClassVar[int]
    QUOTE_FIELD_NUMBER: _ClassVar[int]
    no_header: bool
    delimiter: str
    quote: str
    def __init__(self, no_header: bool = ..., delimiter: _Optional[str] = ..., quote: _Optional[str] = ...) -> None: ...

class SimpleIo(_message.Message):
    __slots__ = ("input", "output", "response_elem", "unknown_keys", "empty_strings", "csv")
    INPUT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_ELEM_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_KEYS_FIELD_NUMBER: _ClassVar[int]
    EMPTY_STRINGS_FIELD_NUMBER: _ClassVar[int]
    CSV_FIELD_NUMBER: _ClassVar[int]
    input: Elements
    output: Elements
    response_elem: str
    unknown_keys: UnknownKeys
    empty_strings: EmptyStrings
    csv: CsvOptions
    def __init__(self, input: _Optional[_Union[Elements, _Mapping]] = ..., output: _Optional[_Union[Elements, _Mapping]] = ..., response_elem: _Optional[str] = ..., unknown_keys: _Optional[_Union[UnknownKeys, str]] = ..., empty_strings: _Optional[_Union[EmptyStrings, str]] = ..., csv: _Optional[_Union[CsvOptions, _Mapping]] = ...) -> None: ...

class ServiceOptions(_message.Message):
    __slots__ = ("idempotent", "timeout", "attempt_timeout", "retry_policy", "concurrency", "queue_length", "retention", "failure_retention", "pending_limit", "on_exhausted")
    IDEMPOTENT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    RETRY_POLICY_FIELD_NUMBER: _ClassVar[int]
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    QUEUE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    RETENTION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_RETENTION_FIELD_NUMBER: _ClassVar[int]
    PENDING_LIMIT_FIELD_NUMBER: _ClassVar[int]
    ON_EXHAUSTED_FIELD_NUMBER: _ClassVar[int]
    idempotent: bool
    timeout: _duration_pb2.Duration
    attempt_timeout: _duration_pb2.Duration
    retry_policy: _invocation_pb2.RetryPolicy
    concurrency: int
    queue_length: int
    retention: _duration_pb2.Duration
    failure_retention: _duration_pb2.Duration
    pending_limit: int
    on_exhausted: _invocation_pb2.OnExhausted
    def __init__(self, idempotent: bool = ..., timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., attempt_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., retry_policy: _Optional[_Union[_invocation_pb2.RetryPolicy, _Mapping]] = ..., concurrency: _Optional[int] = ..., queue_length: _Optional[int] = ..., retention: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., failure_retention: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., pending_limit: _Optional[int] = ..., on_exhausted: _Optional[_Union[_invocation_pb2.OnExhausted, str]] = ...) -> None: ...

class ServiceDeclaration(_message.Message):
    __slots__ = ("name", "description", "sio", "options")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    SIO_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    description: str
    sio: SimpleIo
    options: ServiceOptions
    def __init__(self, name: _Optional[str] = ..., description: _Optional[str] = ..., sio: _Optional[_Union[SimpleIo, _Mapping]] = ..., options: _Optional[_Union[ServiceOptions, _Mapping]] = ...) -> None: ...

class ServiceControl(_message.Message):
    __slots__ = ("service", "paused", "background_only", "disabled", "reason", "principal", "time", "pause", "disable")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_ONLY_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    PAUSE_FIELD_NUMBER: _ClassVar[int]
    DISABLE_FIELD_NUMBER: _ClassVar[int]
    service: str
    paused: bool
    background_only: bool
    disabled: bool
    reason: str
    principal: str
    time: _timestamp_pb2.Timestamp
    pause: ControlCause
    disable: ControlCause
    def __init__(self, service: _Optional[str] = ..., paused: bool = ..., background_only: bool = ..., disabled: bool = ..., reason: _Optional[str] = ..., principal: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., pause: _Optional[_Union[ControlCause, _Mapping]] = ..., disable: _Optional[_Union[ControlCause, _Mapping]] = ...) -> None: ...

class ControlCause(_message.Message):
    __slots__ = ("reason", "principal", "time")
    REASON_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    reason: str
    principal: str
    time: _timestamp_pb2.Timestamp
    def __init__(self, reason: _Optional[str] = ..., principal: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
