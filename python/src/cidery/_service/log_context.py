"""The log context: the CID and the service of the handler, on each log record."""

from __future__ import annotations

import contextvars
import logging
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cidery._service.context import InvocationInfo

current_cid: contextvars.ContextVar[str] = contextvars.ContextVar("cidery_cid", default="")
current_service: contextvars.ContextVar[str] = contextvars.ContextVar("cidery_service", default="")


class CidLogger(logging.LoggerAdapter):  # type: ignore[type-arg]
    """A logger whose records carry `cid` and `service`."""

    def process(
        self, msg: Any, kwargs: MutableMapping[str, Any]
    ) -> tuple[Any, MutableMapping[str, Any]]:
        """Adds the fields to a record."""
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs


class CidFilter(logging.Filter):
    """Sets `cid` and `service` on every record: those of the current handler, or empty ones."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Sets the fields."""
        fields = vars(record)
        cid = fields.setdefault("cid", current_cid.get())
        service = fields.setdefault("service", current_service.get())
        # The logger of a service has its name already.
        named = "" if service == record.name else service
        fields["invocation"] = "".join(f"{value} " for value in (named, cid) if value)
        return True


class LogContext:
    """Sets the log context while a handler runs."""

    def __init__(self, info: InvocationInfo) -> None:
        self._info = info

    def __enter__(self) -> None:
        self._cid_token = current_cid.set(self._info.cid)
        self._service_token = current_service.set(self._info.service)

    def __exit__(self, *_: object) -> None:
        current_cid.reset(self._cid_token)
        current_service.reset(self._service_token)
