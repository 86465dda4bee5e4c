"""The annotations of handlers: evaluated one by one, with the names where they are written."""

from __future__ import annotations

import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Unresolved:
    """An annotation that cannot be evaluated: it has a name that does not exist at run time."""

    text: str
    name: str
    """The missing name."""

    def __str__(self) -> str:
        return self.text


def annotation(
    function: Callable[..., Any], name: str | None, names: Mapping[str, Any] | None = None
) -> Any:
    """The annotation of a parameter, or of the result (`return`); `None` without one.

    Text, as it is by `from __future__ import annotations`, is evaluated with the globals of the
    function and `names`. Only that of one annotation: the others may have names for type checkers.
    """
    # From Python 3.14 on, reading the annotations evaluates all of them.
    options: Any = {"format": _forward_format()} if sys.version_info >= (3, 14) else {}
    found = inspect.get_annotations(function, **options).get(name or "")
    while isinstance(found, str):
        try:
            found = eval(found, function.__globals__, {**(names or {}), **_enclosed(function)})
        except Exception as error:
            # A `NameError` or an `AttributeError` has the missing name.
            return Unresolved(found, getattr(error, "name", None) or found)
    if isinstance(found, typing.ForwardRef):
        return Unresolved(found.__forward_arg__, found.__forward_arg__)
    return found


def _forward_format() -> Any:
    import annotationlib  # type: ignore[import-not-found, unused-ignore]

    return annotationlib.Format.FORWARDREF


def _enclosed(function: Callable[..., Any]) -> dict[str, Any]:
    """The names of enclosing functions that the function itself uses."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    # A cell without contents belongs to a name that is assigned later.
    return {name: cell.cell_contents for name, cell in cells if _is_set(cell)}


def _is_set(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def local_names(depth: int) -> dict[str, Any]:
    """The local names of the function that calls, `depth` frames above the caller of this function;
    none at the top of a module."""
    frame = sys._getframe(depth + 1)
    return {} if frame.f_locals is frame.f_globals else dict(frame.f_locals)
