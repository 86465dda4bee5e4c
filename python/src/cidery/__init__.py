"""Cidery: call any service by name, now or in the background, over gRPC, from any language.

The public API is `__all__`, `cidery.testing` and `cidery.zato`. The private packages import one
another in one direction: `v1`, `_errors`, `_values`, `_sio`, `_protocol`, `_client`, `_service`,
`_worker`, `zato`, `testing`, `_cli`. README.md describes them; `tests/test_structure.py` checks it.
"""

from cidery._client.aio import AsyncClient
from cidery._client.blocking import Client
from cidery._client.bulk import AsyncOperations, Operations
from cidery._errors.exceptions import (
    Aborted,
    AlreadyExists,
    Cancelled,
    CideryError,
    ConnectFailed,
    DataLoss,
    DeadlineExceeded,
    Detail,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Unknown,
    Violation,
)
from cidery._errors.kind import Kind
from cidery._protocol.batch import AsyncGroup, Call, Group, Outcome
from cidery._protocol.bulk import Operation, OperationState, Refusal
from cidery._protocol.cid import new_cid
from cidery._protocol.messages import Accepted, Response
from cidery._protocol.options import DataFormat, OnDeadline, OnExhausted, Options, RetryPolicy
from cidery._protocol.progress import Progress
from cidery._protocol.results import Change, Event, EventKind, Invocation, State, Summary
from cidery._protocol.typed import ServiceRef
from cidery._service.decorator import service
from cidery._service.handler_context import AsyncContext, Context
from cidery._service.service import AsyncService, Service
from cidery._sio.constructors import (
    CSV,
    UUID,
    AsIs,
    Bool,
    Bytes,
    Csv,
    Date,
    DateTime,
    Decimal,
    Dict,
    DictList,
    Float,
    Int,
    List,
    Secret,
    Text,
    Uuid,
)
from cidery._sio.declaration import CsvOptions, Elements, Sio
from cidery._sio.element import Element, EmptyStrings, Type, UnknownKeys
from cidery._values.bunch import Bunch
from cidery._values.later import Later
from cidery._worker.worker import Worker

__all__ = [
    "Aborted",
    "Accepted",
    "AlreadyExists",
    "AsIs",
    "AsyncClient",
    "AsyncContext",
    "AsyncGroup",
    "AsyncOperations",
    "AsyncService",
    "Bool",
    "Bunch",
    "Bytes",
    "CSV",
    "Call",
    "Cancelled",
    "Change",
    "CideryError",
    "Client",
    "ConnectFailed",
    "Context",
    "Csv",
    "CsvOptions",
    "DataFormat",
    "DataLoss",
    "Date",
    "DateTime",
    "DeadlineExceeded",
    "Decimal",
    "Detail",
    "Dict",
    "DictList",
    "Element",
    "Elements",
    "EmptyStrings",
    "Event",
    "EventKind",
    "FailedPrecondition",
    "Float",
    "Group",
    "Int",
    "Internal",
    "InvalidArgument",
    "Invocation",
    "Kind",
    "Later",
    "List",
    "NotFound",
    "OnDeadline",
    "OnExhausted",
    "Operation",
    "OperationState",
    "Operations",
    "Options",
    "OutOfRange",
    "Outcome",
    "PermissionDenied",
    "Progress",
    "Refusal",
    "ResourceExhausted",
    "Response",
    "RetryPolicy",
    "Secret",
    "Service",
    "ServiceRef",
    "Sio",
    "State",
    "Summary",
    "Text",
    "Type",
    "UUID",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Unknown",
    "UnknownKeys",
    "Uuid",
    "Violation",
    "Worker",
    "new_cid",
    "service",
]

# Tracebacks and documentation name the public classes by where they are imported from.
for _exported in map(globals().get, __all__):
    if isinstance(_exported, type):
        _exported.__module__ = __name__
