"""The names that the model has for types."""

from __future__ import annotations

import datetime
from typing import Any, Optional

NAMES: dict[str, Any] = {
    "any_": Any,
    "anydict": dict[str, Any],
    "anylist": list[Any],
    "boolnone": Optional[bool],
    "date_": datetime.date,
    "datetime_": datetime.datetime,
    "dict_": dict,
    "dictlist": list[dict[str, Any]],
    "floatnone": Optional[float],
    "intlist": list[int],
    "intnone": Optional[int],
    "list_": list,
    "optional": Optional,
    "strdict": dict[str, str],
    "stranydict": dict[str, Any],
    "strlist": list[str],
    "strnone": Optional[str],
}
