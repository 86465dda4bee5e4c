"""`Bunch`: a dict whose keys are attributes as well."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

_MISSING: Any = object()


class Bunch(dict[str, Any]):
    """A dict whose keys are attributes as well, at every level.

    A key that is also the name of a method of `dict` (`items`, `keys`, …) is read by `[...]`.
    `at("a.0.b")` reads a dotted path, `deepcopy()` copies, and `require_any("a", "b")` returns the
    first key with a value; a key of one of these names takes precedence.

    >>> response = Bunch.of({"customer": {"name": "Ann", "phones": [{"no": "1"}]}})
    >>> response.customer.name, response["customer"].phones[0].no
    ('Ann', '1')
    >>> response.at("customer.phones.0.no")
    '1'
    """

    __slots__ = ()

    @classmethod
    def of(cls, value: Any) -> Any:
        """Converts every dict within a value to a `Bunch`."""
        if isinstance(value, dict):
            bunch = cls(value)
            for key, item in value.items():
                # Scalars, which are most items, are copied already.
                if isinstance(item, (dict, list)):
                    bunch[key] = cls.of(item)
            return bunch
        if isinstance(value, list):
            return [cls.of(item) for item in value]
        return value

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            pass
        if name in _DYNAMIC_METHODS:
            return functools.partial(_DYNAMIC_METHODS[name], self)
        raise AttributeError(f"no such key `{name}` among {sorted(self)}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"no such key `{name}`") from None

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(key for key in self if key.isidentifier())})

    def __copy__(self) -> Bunch:
        return type(self)(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Bunch:
        return type(self)((key, copy.deepcopy(value, memo)) for key, value in self.items())

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (dict(self),))


# Not methods of the class: a key of the same name takes precedence.


def _at(bunch: Bunch, path: str, default: Any = _MISSING) -> Any:
    """The value at a dotted path, such as `role_list.0.name`; a `KeyError` without one."""
    found: Any = bunch
    for step in path.split("."):
        try:
            found = found[int(step)] if isinstance(found, list) else found[step]
        except (LookupError, TypeError, ValueError):
            if default is not _MISSING:
                return default
            raise KeyError(f"there is nothing at `{path}`: no `{step}`") from None
    return found


def _require_any(bunch: Bunch, *names: str) -> Any:
    """The value of the first of these keys that has one; a `ValueError` without any."""
    for name in names:
        if bunch.get(name) not in (None, ""):
            return bunch[name]
    raise ValueError(f"at least one of `{', '.join(names)}` is required")


_DYNAMIC_METHODS: dict[str, Callable[..., Any]] = {
    "at": _at,
    "deepcopy": copy.deepcopy,
    "require_any": _require_any,
}
