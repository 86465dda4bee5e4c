"""The compatibility layer of `--zato`: Zato's imports resolve to this SDK.

`install()` adds an import hook for all modules below `zato`. What `LAYER` does not have is imported
as a placeholder (`_absent`), and `python -m cidery check` lists it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from cidery.zato import _builtins, _exceptions, _retry_service
from cidery.zato._arguments import DATA_FORMAT
from cidery.zato._model import Model
from cidery.zato._names import types
from cidery.zato._names.absent import Placeholder
from cidery.zato._names.modules import CHANNEL, MODULES, SIMPLE_IO_NAMES
from cidery.zato._service import ELEMENTS, Service

_SIMPLE_IO: dict[str, Any] = {**ELEMENTS, **SIMPLE_IO_NAMES}
_SERVICE_NAMES: dict[str, Any] = {
    "Service": Service,
    "Model": Model,
    **_SIMPLE_IO,
    **types.NAMES,
}
_API_NAMES: dict[str, Any] = {"CHANNEL": CHANNEL, "DATA_FORMAT": DATA_FORMAT}
_MODEL_NAMES: dict[str, Any] = {
    name: _exceptions.NAMES[name]
    for name in ("ElementIsNotAList", "ElementMissing", "ModelValidationError")
} | {"Model": Model}

Service._companions = (_retry_service.InvokeRetry, *_builtins.SERVICES)
Placeholder.base = Service

LAYER: dict[str, dict[str, Any]] = {
    "zato": {},
    "zato.common": _API_NAMES,
    "zato.common.api": _API_NAMES,
    "zato.common.exception": _exceptions.NAMES,
    "zato.common.marshal_": {},
    "zato.common.marshal_.api": _MODEL_NAMES,
    "zato.common.simpleio_": _SIMPLE_IO,
    "zato.common.typing_": types.NAMES,
    "zato.server": {},
    "zato.cy": {},
    "zato.cy.simpleio": _SIMPLE_IO,
    "zato.server.service": _SERVICE_NAMES,
    "zato.simpleio": _SIMPLE_IO,
    **MODULES,
}
"""The modules of the layer, and the names in each."""


class _Finder(MetaPathFinder, Loader):
    """The import hook for Zato's modules."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of a module of Zato; `None` for others."""
        if not is_zato_module(fullname):
            return None
        # A package, so that what it does not have below it is a placeholder as well.
        return ModuleSpec(fullname, self, is_package=True)

    def exec_module(self, module: ModuleType) -> None:
        """Fills the module."""
        vars(module).update(LAYER.get(module.__name__, {}))
        vars(module)["__getattr__"] = _reader_of(module.__name__)


def is_zato_module(name: str) -> bool:
    """Whether a module is Zato's, by its name."""
    return name == "zato" or name.startswith("zato.")


def _reader_of(module: str) -> Callable[[str], Any]:
    """The `__getattr__` of a module: its submodules, and placeholders for what it does not have."""

    def read(name: str) -> Any:
        # The import system asks for names such as `__path__` and `__all__`.
        if name.startswith("__"):
            raise AttributeError(name)
        full_name = f"{module}.{name}"
        if full_name in LAYER:
            return importlib.import_module(full_name)
        return Placeholder(f"`{name}` of `{module}`")

    return read


_FINDER = _Finder()


def install() -> None:
    """Installs the import hook in this process."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def uninstall() -> None:
    """Removes the import hook."""
    if _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)
    for name in [name for name in sys.modules if is_zato_module(name)]:
        del sys.modules[name]
