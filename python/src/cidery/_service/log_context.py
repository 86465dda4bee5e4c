"""The log context: the CID, the service and the trace of the handler, on each log record."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from cidery._protocol.tracing.trace_context import current_ids, enter, handled_trace, leave

if TYPE_CHECKING:
    from cidery._service.context import InvocationInfo

current_cid: contextvars.ContextVar[str] = contextvars.ContextVar("cidery_cid", default="")
current_service: contextvars.ContextVar[str] = contextvars.ContextVar("cidery_service", default="")


class CidLogger(logging.LoggerAdapter):  # type: ignore[type-arg]
    """A logger whose records carry `cid`, `service`, `trace_id` and `span_id`."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Adds the fields to a record."""
        given = kwargs.get("extra", {})
        kwargs["extra"] = {**(self.extra or {}), **_trace_fields(), **given}
        return msg, kwargs


class CidFilter(logging.Filter):
    """Sets `cid`, `service`, `trace_id` and `span_id` on every record.

    They are those of the current handler, or empty.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Sets the fields."""
        fields = vars(record)
        cid = fields.setdefault("cid", current_cid.get())
        service = fields.setdefault("service", current_service.get())
        for name, value in _trace_fields().items():
            fields.setdefault(name, value)
        # The logger of a service has its name already.
        named = "" if service == record.name else service
        fields["invocation"] = "".join(f"{value} " for value in (named, cid) if value)
        return True


def _trace_fields() -> dict[str, str]:
    trace_id, span_id = current_ids()
    return {"trace_id": trace_id, "span_id": span_id}


class LogContext:
    """Sets the log context, and the trace that calls pass on, while a handler runs."""

    def __init__(self, info: InvocationInfo) -> None:
        self._info = info

    def __enter__(self) -> None:
        self._cid_token = current_cid.set(self._info.cid)
        self._service_token = current_service.set(self._info.service)
        self._trace_token = enter(handled_trace(self._info.traceparent, self._info.tracestate))

    def __exit__(self, *_: object) -> None:
        current_cid.reset(self._cid_token)
        current_service.reset(self._service_token)
        leave(self._trace_token)
