"""How `python -m cidery run` writes log records: for people, or as JSON, as the log of a node."""

from __future__ import annotations

import json
import logging
import time

FORMATS = ("human", "json")
"""The formats, named as those of a node."""
_FIELDS = ("cid", "service", "trace_id", "span_id")
"""The attributes that tell whose call a record is about."""


def formatter(name: str) -> logging.Formatter:
    """The formatter of a format."""
    return JsonFormatter() if name == "json" else HumanFormatter()


class HumanFormatter(logging.Formatter):
    """Formats records like the log of a node: UTC times, and the fields after the message.

    `2026-11-29T20:52:41.123Z INFO crm.orders: the message cid=… service=order.place`. The fields
    are those of the handler that logs; other lines have none. The logger of a service, and a
    message that names both, need no field.
    """

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Formats the message and its fields; a traceback follows on its own lines."""
        text = super().formatMessage(record)
        fields = [(name, getattr(record, name, None)) for name in _FIELDS]
        known = (record.name, *record.message.replace("`", " ").split())
        missing = [f" {name}={value}" for name, value in fields if value and value not in known]
        return text + "".join(missing)


class JsonFormatter(HumanFormatter):
    """Formats a record as one JSON object, with the keys of the log of a node.

    `timestamp`, `level`, `message`, `logger`, those of `cid`, `service`, `trace_id` and `span_id`
    that are known, and `trace`, the traceback.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Formats a record on one line."""
        line = {
            "timestamp": self.formatTime(record),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        line |= {name: value for name in _FIELDS if (value := getattr(record, name, None))}
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["trace"] = record.exc_text
        return json.dumps(line, ensure_ascii=False, default=str)
