from cidery.v1 import invocation_pb2 as _invocation_pb2
from cidery.v1 import operation_pb2 as _operation_pb2
from cidery.v1 import outcome_pb2 as _outcome_pb2
from cidery.v1 import service_pb2 as _service_pb2
from cidery.v1 import worker_pb2 as _worker_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class NodeHealth(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NODE_HEALTH_UNSPECIFIED: _ClassVar[NodeHealth]
    NODE_HEALTH_SERVING: _ClassVar[NodeHealth]
    NODE_HEALTH_DEGRADED: _ClassVar[NodeHealth]
    NODE_HEALTH_NOT_SERVING: _ClassVar[NodeHealth]

class InvocationKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INVOCATION_KIND_UNSPECIFIED: _ClassVar[InvocationKind]
    INVOCATION_KIND_SYNC: _ClassVar[InvocationKind]
    INVOCATION_KIND_ASYNC: _ClassVar[InvocationKind]
    INVOCATION_KIND_NESTED: _ClassVar[InvocationKind]
    INVOCATION_KIND_CALLBACK: _ClassVar[InvocationKind]

class OutcomeKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTCOME_KIND_UNSPECIFIED: _ClassVar[OutcomeKind]
    OUTCOME_KIND_SUCCEEDED: _ClassVar[OutcomeKind]
    OUTCOME_KIND_FAILED: _ClassVar[OutcomeKind]
    OUTCOME_KIND_CANCELLED: _ClassVar[OutcomeKind]
    OUTCOME_KIND_EXPIRED: _ClassVar[OutcomeKind]
    OUTCOME_KIND_REFUSED: _ClassVar[OutcomeKind]

class BackupPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    BACKUP_PHASE_UNSPECIFIED: _ClassVar[BackupPhase]
    BACKUP_PHASE_COPYING: _ClassVar[BackupPhase]
    BACKUP_PHASE_VERIFYING: _ClassVar[BackupPhase]
    BACKUP_PHASE_HASHING: _ClassVar[BackupPhase]

class EventKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EVENT_KIND_UNSPECIFIED: _ClassVar[EventKind]
    EVENT_KIND_INVOCATION_ENDED: _ClassVar[EventKind]
    EVENT_KIND_ATTEMPT_FAILED: _ClassVar[EventKind]
    EVENT_KIND_INVOCATION_HELD: _ClassVar[EventKind]
    EVENT_KIND_SERVICE_PAUSED: _ClassVar[EventKind]
    EVENT_KIND_SERVICE_RESUMED: _ClassVar[EventKind]
    EVENT_KIND_SERVICE_DISABLED: _ClassVar[EventKind]
    EVENT_KIND_SERVICE_ENABLED: _ClassVar[EventKind]
    EVENT_KIND_SERVICE_FORGOTTEN: _ClassVar[EventKind]
    EVENT_KIND_SERVICE_UNSERVED: _ClassVar[EventKind]
    EVENT_KIND_SERVICE_SERVED: _ClassVar[EventKind]
    EVENT_KIND_WORKER_CONNECTED: _ClassVar[EventKind]
    EVENT_KIND_WORKER_DISCONNECTED: _ClassVar[EventKind]
    EVENT_KIND_WORKER_DRAINING: _ClassVar[EventKind]
    EVENT_KIND_OPERATION_STARTED: _ClassVar[EventKind]
    EVENT_KIND_OPERATION_ENDED: _ClassVar[EventKind]
    EVENT_KIND_NODE_RESUMED: _ClassVar[EventKind]
    EVENT_KIND_NODE_DRAINING: _ClassVar[EventKind]
    EVENT_KIND_BACKUP_WRITTEN: _ClassVar[EventKind]
    EVENT_KIND_BACKUP_DELETED: _ClassVar[EventKind]
NODE_HEALTH_UNSPECIFIED: NodeHealth
NODE_HEALTH_SERVING: NodeHealth
NODE_HEALTH_DEGRADED: NodeHealth
NODE_HEALTH_NOT_SERVING: NodeHealth
INVOCATION_KIND_UNSPECIFIED: InvocationKind
INVOCATION_KIND_SYNC: InvocationKind
INVOCATION_KIND_ASYNC: InvocationKind
INVOCATION_KIND_NESTED: InvocationKind
INVOCATION_KIND_CALLBACK: InvocationKind
OUTCOME_KIND_UNSPECIFIED: OutcomeKind
OUTCOME_KIND_SUCCEEDED: OutcomeKind
OUTCOME_KIND_FAILED: OutcomeKind
OUTCOME_KIND_CANCELLED: OutcomeKind
OUTCOME_KIND_EXPIRED: OutcomeKind
OUTCOME_KIND_REFUSED: OutcomeKind
BACKUP_PHASE_UNSPECIFIED: BackupPhase
BACKUP_PHASE_COPYING: BackupPhase
BACKUP_PHASE_VERIFYING: BackupPhase
BACKUP_PHASE_HASHING: BackupPhase
EVENT_KIND_UNSPECIFIED: EventKind
EVENT_KIND_INVOCATION_ENDED: EventKind
EVENT_KIND_ATTEMPT_FAILED: EventKind
EVENT_KIND_INVOCATION_HELD: EventKind
EVENT_KIND_SERVICE_PAUSED: EventKind
EVENT_KIND_SERVICE_RESUMED: EventKind
EVENT_KIND_SERVICE_DISABLED: EventKind
EVENT_KIND_SERVICE_ENABLED: EventKind
EVENT_KIND_SERVICE_FORGOTTEN: EventKind
EVENT_KIND_SERVICE_UNSERVED: EventKind
EVENT_KIND_SERVICE_SERVED: EventKind
EVENT_KIND_WORKER_CONNECTED: EventKind
EVENT_KIND_WORKER_DISCONNECTED: EventKind
EVENT_KIND_WORKER_DRAINING: EventKind
EVENT_KIND_OPERATION_STARTED: EventKind
EVENT_KIND_OPERATION_ENDED: EventKind
EVENT_KIND_NODE_RESUMED: EventKind
EVENT_KIND_NODE_DRAINING: EventKind
EVENT_KIND_BACKUP_WRITTEN: EventKind
EVENT_KIND_BACKUP_DELETED: EventKind

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("version", "start_time", "services", "workers", "running", "pending", "store", "store_size_bytes", "store_bytes_limit", "generation", "held", "health", "health_reasons", "disk_free_bytes", "oldest_due", "unserved_services", "controls", "builds", "failures", "limits", "operations", "held_invocations", "failed_invocations", "failures_incomplete", "failures_error", "totals", "workers_away", "certificate", "failing_services")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    STORE_FIELD_NUMBER: _ClassVar[int]
    STORE_SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    STORE_BYTES_LIMIT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    HEALTH_REASONS_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    OLDEST_DUE_FIELD_NUMBER: _ClassVar[int]
    UNSERVED_SERVICES_FIELD_NUMBER: _ClassVar[int]
    CONTROLS_FIELD_NUMBER: _ClassVar[int]
    BUILDS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    HELD_INVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    FAILED_INVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_INCOMPLETE_FIELD_NUMBER: _ClassVar[int]
    FAILURES_ERROR_FIELD_NUMBER: _ClassVar[int]
    TOTALS_FIELD_NUMBER: _ClassVar[int]
    WORKERS_AWAY_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    FAILING_SERVICES_FIELD_NUMBER: _ClassVar[int]
    version: str
    start_time: _timestamp_pb2.Timestamp
    services: int
    workers: int
    running: int
    pending: int
    store: str
    store_size_bytes: int
    store_bytes_limit: int
    generation: int
    held: bool
    health: NodeHealth
    health_reasons: _containers.RepeatedCompositeFieldContainer[HealthReason]
    disk_free_bytes: int
    oldest_due: _containers.RepeatedCompositeFieldContainer[OldestDue]
    unserved_services: _containers.RepeatedCompositeFieldContainer[UnservedService]
    controls: _containers.RepeatedCompositeFieldContainer[_service_pb2.ServiceControl]
    builds: _containers.RepeatedCompositeFieldContainer[WorkerBuild]
    failures: _containers.RepeatedCompositeFieldContainer[_invocation_pb2.InvocationSummary]
    limits: _containers.RepeatedCompositeFieldContainer[LimitUse]
    operations: int
    held_invocations: int
    failed_invocations: int
    failures_incomplete: bool
    failures_error: str
    totals: StatusTotals
    workers_away: int
    certificate: NodeCertificate
    failing_services: _containers.RepeatedCompositeFieldContainer[FailingService]
    def __init__(self, version: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., services: _Optional[int] = ..., workers: _Optional[int] = ..., running: _Optional[int] = ..., pending: _Optional[int] = ..., store: _Optional[str] = ..., store_size_bytes: _Optional[int] = ..., store_bytes_limit: _Optional[int] = ..., generation: _Optional[int] = ..., held: bool = ..., health: _Optional[_Union[NodeHealth, str]] = ..., health_reasons: _Optional[_Iterable[_Union[HealthReason, _Mapping]]] = ..., disk_free_bytes: _Optional[int] = ..., oldest_due: _Optional[_Iterable[_Union[OldestDue, _Mapping]]] = ..., unserved_services: _Optional[_Iterable[_Union[UnservedService, _Mapping]]] = ..., controls: _Optional[_Iterable[_Union[_service_pb2.ServiceControl, _Mapping]]] = ..., builds: _Optional[_Iterable[_Union[WorkerBuild, _Mapping]]] = ..., failures: _Optional[_Iterable[_Union[_invocation_pb2.InvocationSummary, _Mapping]]] = ..., limits: _Optional[_Iterable[_Union[LimitUse, _Mapping]]] = ..., operations: _Optional[int] = ..., held_invocations: _Optional[int] = ..., failed_invocations: _Optional[int] = ..., failures_incomplete: bool = ..., failures_error: _Optional[str] = ..., totals: _Optional[_Union[StatusTotals, _Mapping]] = ..., workers_away: _Optional[int] = ..., certificate: _Optional[_Union[NodeCertificate, _Mapping]] = ..., failing_services: _Optional[_Iterable[_Union[FailingService, _Mapping]]] = ...) -> None: ...

class StatusTotals(_message.Message):
    __slots__ = ("oldest_due", "unserved_services", "controls", "builds", "failures", "limits", "failing_services")
    OLDEST_DUE_FIELD_NUMBER: _ClassVar[int]
    UNSERVED_SERVICES_FIELD_NUMBER: _ClassVar[int]
    CONTROLS_FIELD_NUMBER: _ClassVar[int]
    BUILDS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    FAILING_SERVICES_FIELD_NUMBER: _ClassVar[int]
    oldest_due: int
    unserved_services: int
    controls: int
    builds: int
    failures: int
    limits: int
    failing_services: int
    def __init__(self, oldest_due: _Optional[int] = ..., unserved_services: _Optional[int] = ..., controls: _Optional[int] = ..., builds: _Optional[int] = ..., failures: _Optional[int] = ..., limits: _Optional[int] = ..., failing_services: _Optional[int] = ...) -> None: ...

class FailingService(_message.Message):
    __slots__ = ("service", "calls", "failures", "reason", "example_cid", "example_message")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_CID_FIELD_NUMBER: _ClassVar[int]
    EXAMPLE_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    service: str
    calls: int
    failures: int
    reason: str
    example_cid: str
    example_message: str
    def __init__(self, service: _Optional[str] = ..., calls: _Optional[int] = ..., failures: _Optional[int] = ..., reason: _Optional[str] = ..., example_cid: _Optional[str] = ..., example_message: _Optional[str] = ...) -> None: ...

class NodeCertificate(_message.Message):
    __slots__ = ("names", "expire_time")
    NAMES_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, names: _Optional[_Iterable[str]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class HealthReason(_message.Message):
    __slots__ = ("reason", "message")
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    reason: str
    message: str
    def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class OldestDue(_message.Message):
    __slots__ = ("service", "cid", "due_time", "pending_reason", "pending")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    CID_FIELD_NUMBER: _ClassVar[int]
    DUE_TIME_FIELD_NUMBER: _ClassVar[int]
    PENDING_REASON_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    service: str
    cid: str
    due_time: _timestamp_pb2.Timestamp
    pending_reason: _outcome_pb2.PendingReason
    pending: int
    def __init__(self, service: _Optional[str] = ..., cid: _Optional[str] = ..., due_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., pending_reason: _Optional[_Union[_outcome_pb2.PendingReason, str]] = ..., pending: _Optional[int] = ...) -> None: ...

class UnservedService(_message.Message):
    __slots__ = ("service", "pending", "last_served_time")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    LAST_SERVED_TIME_FIELD_NUMBER: _ClassVar[int]
    service: str
    pending: int
    last_served_time: _timestamp_pb2.Timestamp
    def __init__(self, service: _Optional[str] = ..., pending: _Optional[int] = ..., last_served_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class WorkerBuild(_message.Message):
    __slots__ = ("worker_name", "build_id", "workers")
    WORKER_NAME_FIELD_NUMBER: _ClassVar[int]
    BUILD_ID_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    worker_name: str
    build_id: str
    workers: int
    def __init__(self, worker_name: _Optional[str] = ..., build_id: _Optional[str] = ..., workers: _Optional[int] = ...) -> None: ...

class LimitUse(_message.Message):
    __slots__ = ("name", "service", "used", "limit")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    name: str
    service: str
    used: int
    limit: int
    def __init__(self, name: _Optional[str] = ..., service: _Optional[str] = ..., used: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class ListWorkersRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "service")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    service: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., service: _Optional[str] = ...) -> None: ...

class ListWorkersResponse(_message.Message):
    __slots__ = ("workers", "next_page_token")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    workers: _containers.RepeatedCompositeFieldContainer[Worker]
    next_page_token: str
    def __init__(self, workers: _Optional[_Iterable[_Union[Worker, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Worker(_message.Message):
    __slots__ = ("id", "name", "build_id", "services", "capabilities", "in_flight", "max_in_flight", "connect_time", "peer", "draining", "away")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    BUILD_ID_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    CONNECT_TIME_FIELD_NUMBER: _ClassVar[int]
    PEER_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    AWAY_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    build_id: str
    services: _containers.RepeatedScalarFieldContainer[str]
    capabilities: _containers.RepeatedScalarFieldContainer[_worker_pb2.Capability]
    in_flight: int
    max_in_flight: int
    connect_time: _timestamp_pb2.Timestamp
    peer: str
    draining: bool
    away: bool
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., build_id: _Optional[str] = ..., services: _Optional[_Iterable[str]] = ..., capabilities: _Optional[_Iterable[_Union[_worker_pb2.Capability, str]]] = ..., in_flight: _Optional[int] = ..., max_in_flight: _Optional[int] = ..., connect_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., peer: _Optional[str] = ..., draining: bool = ..., away: bool = ...) -> None: ...

class ListServiceStatsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "services")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    services: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., services: _Optional[_Iterable[str]] = ...) -> None: ...

class ListServiceStatsResponse(_message.Message):
    __slots__ = ("stats", "next_page_token", "observe_time", "start_time")
    STATS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    stats: _containers.RepeatedCompositeFieldContainer[ServiceStats]
    next_page_token: str
    observe_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    def __init__(self, stats: _Optional[_Iterable[_Union[ServiceStats, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ServiceStats(_message.Message):
    __slots__ = ("service", "outcomes", "duration", "queue_wait", "queued", "pending", "running", "oldest_due_time", "workers", "worker_credits", "retries", "crashes", "last_failure_reason", "recent", "recent_attempts", "recent_failed_attempts")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    QUEUE_WAIT_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    OLDEST_DUE_TIME_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    WORKER_CREDITS_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    CRASHES_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_REASON_FIELD_NUMBER: _ClassVar[int]
    RECENT_FIELD_NUMBER: _ClassVar[int]
    RECENT_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    RECENT_FAILED_ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    service: str
    outcomes: _containers.RepeatedCompositeFieldContainer[OutcomeCount]
    duration: Histogram
    queue_wait: Histogram
    queued: int
    pending: int
    running: int
    oldest_due_time: _timestamp_pb2.Timestamp
    workers: int
    worker_credits: int
    retries: int
    crashes: int
    last_failure_reason: str
    recent: RecentCalls
    recent_attempts: int
    recent_failed_attempts: int
    def __init__(self, service: _Optional[str] = ..., outcomes: _Optional[_Iterable[_Union[OutcomeCount, _Mapping]]] = ..., duration: _Optional[_Union[Histogram, _Mapping]] = ..., queue_wait: _Optional[_Union[Histogram, _Mapping]] = ..., queued: _Optional[int] = ..., pending: _Optional[int] = ..., running: _Optional[int] = ..., oldest_due_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., workers: _Optional[int] = ..., worker_credits: _Optional[int] = ..., retries: _Optional[int] = ..., crashes: _Optional[int] = ..., last_failure_reason: _Optional[str] = ..., recent: _Optional[_Union[RecentCalls, _Mapping]] = ..., recent_attempts: _Optional[int] = ..., recent_failed_attempts: _Optional[int] = ...) -> None: ...

class RecentCalls(_message.Message):
    __slots__ = ("period", "calls", "failed", "duration_p50", "duration_p99")
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    DURATION_P50_FIELD_NUMBER: _ClassVar[int]
    DURATION_P99_FIELD_NUMBER: _ClassVar[int]
    period: _duration_pb2.Duration
    calls: int
    failed: int
    duration_p50: float
    duration_p99: float
    def __init__(self, period: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., calls: _Optional[int] = ..., failed: _Optional[int] = ..., duration_p50: _Optional[float] = ..., duration_p99: _Optional[float] = ...) -> None: ...

class GetHistoryRequest(_message.Message):
    __slots__ = ("service", "from_time")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    FROM_TIME_FIELD_NUMBER: _ClassVar[int]
    service: str
    from_time: _timestamp_pb2.Timestamp
    def __init__(self, service: _Optional[str] = ..., from_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetHistoryResponse(_message.Message):
    __slots__ = ("samples", "interval", "observe_time", "start_time")
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    samples: _containers.RepeatedCompositeFieldContainer[HistorySample]
    interval: _duration_pb2.Duration
    observe_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    def __init__(self, samples: _Optional[_Iterable[_Union[HistorySample, _Mapping]]] = ..., interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class HistorySample(_message.Message):
    __slots__ = ("time", "succeeded", "failed", "cancelled", "expired", "refused", "duration_p50", "duration_p99", "running", "queued", "pending", "oldest_due_age")
    TIME_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    DURATION_P50_FIELD_NUMBER: _ClassVar[int]
    DURATION_P99_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    OLDEST_DUE_AGE_FIELD_NUMBER: _ClassVar[int]
    time: _timestamp_pb2.Timestamp
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    refused: int
    duration_p50: float
    duration_p99: float
    running: int
    queued: int
    pending: int
    oldest_due_age: float
    def __init__(self, time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., cancelled: _Optional[int] = ..., expired: _Optional[int] = ..., refused: _Optional[int] = ..., duration_p50: _Optional[float] = ..., duration_p99: _Optional[float] = ..., running: _Optional[int] = ..., queued: _Optional[int] = ..., pending: _Optional[int] = ..., oldest_due_age: _Optional[float] = ...) -> None: ...

class OutcomeCount(_message.Message):
    __slots__ = ("kind", "outcome", "count")
    KIND_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    kind: InvocationKind
    outcome: OutcomeKind
    count: int
    def __init__(self, kind: _Optional[_Union[InvocationKind, str]] = ..., outcome: _Optional[_Union[OutcomeKind, str]] = ..., count: _Optional[int] = ...) -> None: ...

class Histogram(_message.Message):
    __slots__ = ("bounds", "counts", "sum")
    BOUNDS_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    SUM_FIELD_NUMBER: _ClassVar[int]
    bounds: _containers.RepeatedScalarFieldContainer[float]
    counts: _containers.RepeatedScalarFieldContainer[int]
    sum: float
    def __init__(self, bounds: _Optional[_Iterable[float]] = ..., counts: _Optional[_Iterable[int]] = ..., sum: _Optional[float] = ...) -> None: ...

class PauseServiceRequest(_message.Message):
    __slots__ = ("service", "reason", "background_only")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_ONLY_FIELD_NUMBER: _ClassVar[int]
    service: str
    reason: str
    background_only: bool
    def __init__(self, service: _Optional[str] = ..., reason: _Optional[str] = ..., background_only: bool = ...) -> None: ...

class PauseServiceResponse(_message.Message):
    __slots__ = ("control",)
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    control: _service_pb2.ServiceControl
    def __init__(self, control: _Optional[_Union[_service_pb2.ServiceControl, _Mapping]] = ...) -> None: ...

class ResumeServiceRequest(_message.Message):
    __slots__ = ("service",)
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    service: str
    def __init__(self, service: _Optional[str] = ...) -> None: ...

class ResumeServiceResponse(_message.Message):
    __slots__ = ("was_paused",)
    WAS_PAUSED_FIELD_NUMBER: _ClassVar[int]
    was_paused: bool
    def __init__(self, was_paused: bool = ...) -> None: ...

class DisableServiceRequest(_message.Message):
    __slots__ = ("service", "reason")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    service: str
    reason: str
    def __init__(self, service: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class DisableServiceResponse(_message.Message):
    __slots__ = ("control",)
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    control: _service_pb2.ServiceControl
    def __init__(self, control: _Optional[_Union[_service_pb2.ServiceControl, _Mapping]] = ...) -> None: ...

class EnableServiceRequest(_message.Message):
    __slots__ = ("service",)
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    service: str
    def __init__(self, service: _Optional[str] = ...) -> None: ...

class EnableServiceResponse(_message.Message):
    __slots__ = ("was_disabled",)
    WAS_DISABLED_FIELD_NUMBER: _ClassVar[int]
    was_disabled: bool
    def __init__(self, was_disabled: bool = ...) -> None: ...

class ForgetServiceRequest(_message.Message):
    __slots__ = ("service",)
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    service: str
    def __init__(self, service: _Optional[str] = ...) -> None: ...

class ForgetServiceResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResumeNodeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ResumeNodeResponse(_message.Message):
    __slots__ = ("was_held",)
    WAS_HELD_FIELD_NUMBER: _ClassVar[int]
    was_held: bool
    def __init__(self, was_held: bool = ...) -> None: ...

class BackupStoreRequest(_message.Message):
    __slots__ = ("name", "temporary")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TEMPORARY_FIELD_NUMBER: _ClassVar[int]
    name: str
    temporary: bool
    def __init__(self, name: _Optional[str] = ..., temporary: bool = ...) -> None: ...

class BackupStoreResponse(_message.Message):
    __slots__ = ("path", "bytes", "backup")
    PATH_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    path: str
    bytes: int
    backup: Backup
    def __init__(self, path: _Optional[str] = ..., bytes: _Optional[int] = ..., backup: _Optional[_Union[Backup, _Mapping]] = ...) -> None: ...

class Backup(_message.Message):
    __slots__ = ("name", "bytes", "create_time", "sha256", "invocations", "fraction", "phase", "temporary")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    INVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    TEMPORARY_FIELD_NUMBER: _ClassVar[int]
    name: str
    bytes: int
    create_time: _timestamp_pb2.Timestamp
    sha256: str
    invocations: int
    fraction: float
    phase: BackupPhase
    temporary: bool
    def __init__(self, name: _Optional[str] = ..., bytes: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sha256: _Optional[str] = ..., invocations: _Optional[int] = ..., fraction: _Optional[float] = ..., phase: _Optional[_Union[BackupPhase, str]] = ..., temporary: bool = ...) -> None: ...

class ListBackupsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListBackupsResponse(_message.Message):
    __slots__ = ("backups",)
    BACKUPS_FIELD_NUMBER: _ClassVar[int]
    backups: _containers.RepeatedCompositeFieldContainer[Backup]
    def __init__(self, backups: _Optional[_Iterable[_Union[Backup, _Mapping]]] = ...) -> None: ...

class ReadBackupRequest(_message.Message):
    __slots__ = ("name", "offset")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    name: str
    offset: int
    def __init__(self, name: _Optional[str] = ..., offset: _Optional[int] = ...) -> None: ...

class ReadBackupResponse(_message.Message):
    __slots__ = ("offset", "data")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    offset: int
    data: bytes
    def __init__(self, offset: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class DeleteBackupRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteBackupResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchEventsRequest(_message.Message):
    __slots__ = ("kinds", "filter", "filter_expression")
    KINDS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FILTER_EXPRESSION_FIELD_NUMBER: _ClassVar[int]
    kinds: _containers.RepeatedScalarFieldContainer[EventKind]
    filter: _invocation_pb2.InvocationFilter
    filter_expression: str
    def __init__(self, kinds: _Optional[_Iterable[_Union[EventKind, str]]] = ..., filter: _Optional[_Union[_invocation_pb2.InvocationFilter, _Mapping]] = ..., filter_expression: _Optional[str] = ...) -> None: ...

class WatchEventsResponse(_message.Message):
    __slots__ = ("event_time", "kind", "missed", "invocation", "service", "worker", "operation", "backup", "message", "principal")
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    MISSED_FIELD_NUMBER: _ClassVar[int]
    INVOCATION_FIELD_NUMBER: _ClassVar[int]
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    WORKER_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    BACKUP_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_FIELD_NUMBER: _ClassVar[int]
    event_time: _timestamp_pb2.Timestamp
    kind: EventKind
    missed: int
    invocation: _outcome_pb2.Invocation
    service: _service_pb2.ServiceControl
    worker: Worker
    operation: _operation_pb2.Operation
    backup: Backup
    message: str
    principal: str
    def __init__(self, event_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[_Union[EventKind, str]] = ..., missed: _Optional[int] = ..., invocation: _Optional[_Union[_outcome_pb2.Invocation, _Mapping]] = ..., service: _Optional[_Union[_service_pb2.ServiceControl, _Mapping]] = ..., worker: _Optional[_Union[Worker, _Mapping]] = ..., operation: _Optional[_Union[_operation_pb2.Operation, _Mapping]] = ..., backup: _Optional[_Union[Backup, _Mapping]] = ..., message: _Optional[str] = ..., principal: _Optional[str] = ...) -> None: ...
