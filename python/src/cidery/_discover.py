"""Finding the services of files and folders: modules are imported, their services collected."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from cidery._service import Service

_ROOTS = frozenset({"src", "source"})


def files_of(paths: Iterable[str | Path]) -> list[Path]:
    """The Python files of files and folders, in order; hidden ones and tests are left out."""
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"there is no `{path}`")
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files:
            inside = file.relative_to(path).parts if path.is_dir() else ()
            is_hidden = any(part.startswith((".", "__")) for part in inside)
            if not is_hidden:
                found[file.resolve()] = None
    return list(found)


def module_name(file: Path) -> str:
    """The name of a module by its path: from a `src` folder above it, else by its file alone."""
    parts = list(file.resolve().with_suffix("").parts)
    if file.parent.name == "services":
        return parts[-1]
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] in _ROOTS:
            return ".".join(parts[index + 1 :])
    return parts[-1]


def load(file: Path) -> ModuleType:
    """Imports a file as a module, anew."""
    name = module_name(file)
    folder = str(file.parent)
    if folder not in sys.path:
        # Modules beside it can be imported by it.
        sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"`{file}` is no Python module")
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        # What ran before goes on.
        if before is not None:
            sys.modules[name] = before
        else:
            del sys.modules[name]
        raise
    return module


def load_all(files: Iterable[Path]) -> Iterator[tuple[Path, ModuleType | Exception]]:
    """Imports files anew, each once: those that import one another get what is new as well."""
    files = list(files)
    importlib.invalidate_caches()
    before: dict[Path, ModuleType] = {}
    for file in files:
        if _is_loaded(file):
            before[file] = sys.modules.pop(module_name(file))
    for file in files:
        if _is_loaded(file):
            # Another one has imported it.
            yield file, sys.modules[module_name(file)]
            continue
        try:
            yield file, load(file)
        except Exception as error:
            if file in before:
                sys.modules[module_name(file)] = before[file]
            yield file, error


def _is_loaded(file: Path) -> bool:
    found = getattr(sys.modules.get(module_name(file)), "__file__", None)
    return found is not None and Path(found).resolve() == file


def services_of(module: ModuleType) -> Iterator[Any]:
    """The services that a module defines: classes with a `handle`, and decorated functions."""
    for value in list(vars(module).values()):
        made = getattr(value, "service_class", None)
        if (isinstance(made, type) and made.__module__ == module.__name__) or (
            isinstance(value, type)
            and issubclass(value, Service)
            and value.__module__ == module.__name__
            and _has_handle(value)
        ):
            yield value


def _has_handle(cls: type[Service]) -> bool:
    return any("handle" in base.__dict__ for base in cls.__mro__ if base is not Service)
