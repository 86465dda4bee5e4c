"""Service discovery: imports the modules of files and folders, and collects their services."""

from __future__ import annotations

import difflib
import fnmatch
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from cidery._service.base import BaseService
from cidery._service.definition import describe_class
from cidery._service.failures import begin_at_user_frame, end_at_user_frame

_SOURCE_ROOTS = frozenset({"src", "source"})
_EXCLUDED_FOLDERS = frozenset({"node_modules", "site-packages", "test", "tests", "venv"})


def find_files(paths: Iterable[str | Path], exclude: Sequence[str] = ()) -> list[Path]:
    """The Python files of files and folders, in order.

    Excludes hidden files, tests, virtual environments and `setup.py` of folders, since importing
    runs them, and what matches a pattern of `exclude`: by its name, or by its path in the folder.
    A file that is named explicitly is never excluded.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if not path.exists():
            hint = _path_of_module(str(path))
            raise FileNotFoundError(f"`{path}` does not exist{hint}")
        for file in _files_in(path, exclude) if path.is_dir() else [path]:
            found[file.resolve()] = None
    return list(found)


def _path_of_module(given: str) -> str:
    """A hint for a module that is given instead of a path."""
    if not all(part.isidentifier() for part in given.split(".")):
        return ""
    base = Path(*given.split("."))
    names = (base.with_suffix(".py"), base)
    found = (root / name for root in (Path(), Path("src")) for name in names)
    path = next((each for each in found if each.exists()), None)
    return ": give the path of a file or a folder" + (f", such as `{path}`" if path else "")


def _files_in(folder: Path, exclude: Sequence[str]) -> list[Path]:
    def is_matched(path: Path) -> bool:
        texts = (path.name, path.relative_to(folder).as_posix())
        return any(fnmatch.fnmatch(text, pattern) for text in texts for pattern in exclude)

    found = []
    for at, folders, files in os.walk(folder):
        inside = [Path(at, name) for name in folders]
        # `os.walk` does not enter removed folders.
        folders[:] = [each.name for each in inside if not _is_excluded(each, is_matched)]
        found += [Path(at, name) for name in files if _may_have_services(name)]
    return sorted(file for file in found if not is_matched(file))


def _is_excluded(folder: Path, is_matched: Callable[[Path], bool]) -> bool:
    is_other = folder.name in _EXCLUDED_FOLDERS or folder.name.startswith((".", "__"))
    return is_other or is_matched(folder) or (folder / "pyvenv.cfg").exists()


def _may_have_services(name: str) -> bool:
    is_test = name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"
    is_excluded = is_test or name == "setup.py" or name.startswith((".", "__"))
    return name.endswith(".py") and not is_excluded


def module_name(file: Path) -> str:
    """The name of a module by its path: below a `src` folder, else the name of the file alone."""
    root = _source_root(file)
    if file.parent.name == "services" or root is None:
        return file.stem
    return ".".join(file.resolve().relative_to(root).with_suffix("").parts)


def _source_root(file: Path) -> Path | None:
    """The `src` folder above a file: the root of its project's imports."""
    return next((above for above in file.resolve().parents if above.name in _SOURCE_ROOTS), None)


class ModuleError(ImportError):
    """A module that cannot be imported; the cause is the exception that it raised."""


def load_module(file: Path) -> ModuleType:
    """Imports a file as a module, and replaces a loaded one."""
    name = module_name(file)
    # The module can import its siblings, and modules of its project by their full names.
    for folder in (file.parent, _source_root(file)):
        if folder is not None and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"`{file}` is not a Python module")
    module = importlib.util.module_from_spec(spec)
    previous = sys.modules.get(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        # Restores the previous module.
        if previous is not None:
            sys.modules[name] = previous
        else:
            del sys.modules[name]
        raise
    _register(name, module)
    return module


def load_modules(
    files: Iterable[Path], imported: Collection[Path]
) -> Iterator[tuple[Path, ModuleType | Exception]]:
    """Reloads files, each once, so that modules that import one another get the new versions.

    Files that are not in `imported` are loaded only if others import them.
    """
    files = list(files)
    importlib.invalidate_caches()
    previous: dict[Path, ModuleType] = {}
    for file in files:
        if is_loaded(file):
            previous[file] = _unregister(module_name(file))
    for file in (file for file in files if file in imported):
        if is_loaded(file):
            # Another file imported it already.
            yield file, sys.modules[module_name(file)]
            continue
        found = _try_load(file)
        if isinstance(found, Exception) and file in previous:
            _register(module_name(file), previous[file])
        yield file, found
    for file in files:
        if file not in imported and not is_loaded(file) and file in previous:
            _register(module_name(file), previous[file])


def _try_load(file: Path) -> ModuleType | Exception:
    try:
        return load_module(file)
    except KeyboardInterrupt:
        raise
    except Exception as error:
        return end_at_user_frame(begin_at_user_frame(error))
    except BaseException as error:
        # A script that exits must not end the discovery.
        return ImportError(f"`{file}` raises {error!r}")


def _register(name: str, module: ModuleType) -> None:
    """Makes a module importable by its name, and as an attribute of its package."""
    sys.modules[name] = module
    package, _, last = name.rpartition(".")
    if package in sys.modules and not hasattr(sys.modules[package], last):
        setattr(sys.modules[package], last, module)


def _unregister(name: str) -> ModuleType:
    """Undoes `_register`."""
    module = sys.modules.pop(name)
    package, _, last = name.rpartition(".")
    inside = vars(sys.modules[package]) if package in sys.modules else {}
    if inside.get(last) is module:
        del inside[last]
    return module


def is_loaded(file: Path) -> bool:
    """Whether a file is imported as the module of its name."""
    found = getattr(sys.modules.get(module_name(file)), "__file__", None)
    return found is not None and Path(found).resolve() == file


def find_services(module: ModuleType) -> Iterator[Any]:
    """The services that a module defines: classes with `handle`, and decorated functions."""
    for value in list(vars(module).values()):
        cls = getattr(value, "service_class", None)
        is_function = isinstance(cls, type) and cls.__module__ == module.__name__
        if is_function or (_is_service_class(value, module) and _has_handle(value)):
            yield value


def find_without_handle(module: ModuleType) -> Iterator[str]:
    """Describes the classes that declare a service and have no `handle`.

    A class from which another one derives, or that declares nothing, is a base class.
    """
    for value in list(vars(module).values()):
        if not _is_service_class(value, module) or _has_handle(value) or value.__subclasses__():
            continue
        own = vars(value)
        methods = [name for name in own if inspect.isfunction(own[name])]
        hint = value._describe_missing_handle()
        if hint:
            yield f"{describe_class(value)} {hint}"
            continue
        closest = difflib.get_close_matches("handle", methods, 1)
        if closest or not _DECLARES.isdisjoint(own):
            hint = f"; is `{closest[0]}` a typo?" if closest else ""
            yield f"{describe_class(value)} has no `handle`{hint}"


# What distinguishes a service from a base class; `_type_arguments` are those of `Service[In, Out]`.
_DECLARES = frozenset({"_type_arguments", "input", "output", "SimpleIO"})


def _is_service_class(value: Any, module: ModuleType) -> bool:
    is_own = isinstance(value, type) and value.__module__ == module.__name__
    return is_own and issubclass(value, BaseService)


def _has_handle(cls: type[BaseService[Any, Any]]) -> bool:
    return cls.handle is not BaseService.handle
