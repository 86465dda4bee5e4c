"""The structure of the SDK: no import cycles, one direction between packages, small folders.

All imports count, also those inside functions and those for type checkers only.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SRC = Path(__file__).parent.parent / "src"

# Each package imports only itself and packages before it.
ORDER = (
    "v1",
    "_errors",
    "_values",
    "_sio",
    "_protocol",
    "_client",
    "_service",
    "_worker",
    "zato",
    "testing",
    "_cli",
)
MAX_MODULES = 16
MAX_LINES = 600


def modules() -> dict[str, Path]:
    """The hand-written modules by name; a package is its `__init__.py`."""
    found = {}
    for file in sorted((SRC / "cidery").rglob("*.py")):
        parts = file.relative_to(SRC).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return {name: file for name, file in found.items() if not name.startswith("cidery.v1.")}


MODULES = modules()


def imports_of(name: str) -> set[str]:
    """The modules of the SDK that a module imports, wherever in its code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}:{node.lineno}: relative import"
            # `from package import module` imports the module, `from module import name` does not.
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(
                    full if full in MODULES or node.module == "cidery.v1" else node.module or ""
                )
    return {module for module in found if module.split(".")[0] == "cidery"}


def packages_of(names: set[str]) -> Iterator[str]:
    for name in names:
        yield name.split(".")[1] if "." in name else "cidery"


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """The first cycle of a depth-first search, or nothing."""
    finished: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in finished:
            return []
        for imported in sorted(graph.get(name, ())):
            cycle = visit(imported, [*path, name])
            if cycle:
                return cycle
        finished.add(name)
        return []

    for name in sorted(graph):
        cycle = visit(name, [])
        if cycle:
            return cycle
    return []


def test_modules_have_no_import_cycle() -> None:
    cycle = find_cycle({name: imports_of(name) for name in MODULES})
    assert not cycle, " -> ".join(cycle)


def test_the_search_finds_a_cycle() -> None:
    assert find_cycle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_cycle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_packages_import_in_one_direction() -> None:
    for name in MODULES:
        package = name.split(".")[1] if name.count(".") else ""
        if package in ("", "__main__"):
            continue  # The public package and the command line import what they need.
        allowed = ORDER[: ORDER.index(package) + 1]
        for imported in packages_of(imports_of(name)):
            assert imported in allowed, f"{name} imports cidery.{imported}"


def test_every_package_has_its_place_in_the_order() -> None:
    packages = {file.parent.name for file in (SRC / "cidery").glob("*/__init__.py")}
    assert packages == set(ORDER)


def test_folders_and_modules_are_small() -> None:
    for folder in {file.parent for file in MODULES.values()}:
        assert len(list(folder.glob("*.py"))) <= MAX_MODULES, folder
    for file in MODULES.values():
        assert len(file.read_text().splitlines()) <= MAX_LINES, file
