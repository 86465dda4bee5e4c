"""The compatibility layer of `--zato`: Zato's imports resolve to this SDK.

`install()` adds an import hook for the modules of `LAYER` only: importing any other Zato module
fails, and `python -m cidery check` lists it.
"""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from cidery.zato import _exceptions, _retry_service, _typing
from cidery.zato._arguments import DATA_FORMAT
from cidery.zato._model import Model
from cidery.zato._service import ELEMENTS, Service

_SERVICE_NAMES: dict[str, Any] = {"Service": Service, "Model": Model, **ELEMENTS, **_typing.NAMES}

Service._companions = (_retry_service.InvokeRetry,)

LAYER: dict[str, dict[str, Any]] = {
    "zato": {},
    "zato.common": {"DATA_FORMAT": DATA_FORMAT},
    "zato.common.api": {"DATA_FORMAT": DATA_FORMAT},
    "zato.common.exception": _exceptions.NAMES,
    "zato.common.marshal_": {},
    "zato.common.marshal_.api": {"Model": Model},
    "zato.common.typing_": _typing.NAMES,
    "zato.server": {},
    "zato.server.service": _SERVICE_NAMES,
}
"""The modules of the layer, and the names in each."""


class _Finder(MetaPathFinder, Loader):
    """The import hook for the modules of the layer."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """The spec of a module of the layer; `None` for others."""
        if fullname not in LAYER:
            return None
        is_package = any(name.startswith(f"{fullname}.") for name in LAYER)
        return ModuleSpec(fullname, self, is_package=is_package)

    def exec_module(self, module: ModuleType) -> None:
        """Fills the module."""
        vars(module).update(LAYER[module.__name__])


_FINDER = _Finder()


def install() -> None:
    """Installs the import hook in this process."""
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def uninstall() -> None:
    """Removes the import hook."""
    if _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)
    for name in LAYER:
        sys.modules.pop(name, None)
