"""The files of a folder that declare services, by their source: importing a script would run it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

# The names of the SDK, and of Zato, by which a module declares services.
_DECLARING_NAMES = frozenset({"AsyncService", "Service", "service"})
_PACKAGES = frozenset({"cidery", "zato"})


def files_with_services(files: Iterable[Path]) -> set[Path]:
    """The files that may declare services: with a class that derives, also by classes of the other
    files, from a service class, or with the decorator `service`.

    A file that cannot be parsed is one of them: importing it reports the error.
    """
    sources = [(file, _parse(file)) for file in files]
    found = {file for file, source in sources if source is None or source.uses_sdk}
    service_classes = set(_DECLARING_NAMES)
    # Each round finds the classes that derive from those of the round before.
    while True:
        derived: set[str] = set()
        for file, source in sources:
            for name, bases in source.classes if source is not None else ():
                if bases & service_classes:
                    found.add(file)
                    derived.add(name)
        if derived <= service_classes:
            return found
        service_classes |= derived


@dataclass
class _Source:
    uses_sdk: bool = False
    """Whether it uses one of the declaring names of the SDK."""
    classes: list[tuple[str, set[str]]] = field(default_factory=list)
    """The names of its classes and of their bases, as they are defined."""


def _parse(file: Path) -> _Source | None:
    try:
        # Bytes, since a file may declare its encoding.
        tree = ast.parse(file.read_bytes(), str(file))
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
    source = _Source()
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            aliases.update({each.asname: each.name for each in node.names if each.asname})
            is_sdk = (node.module or "").partition(".")[0] in _PACKAGES
            names = {each.name for each in node.names}
            source.uses_sdk |= is_sdk and bool(names & (_DECLARING_NAMES | {"*"}))
        elif isinstance(node, ast.Attribute):
            # `cidery.Service`, or `worker.service`.
            source.uses_sdk |= node.attr in _DECLARING_NAMES and isinstance(node.value, ast.Name)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            bases = set(_last_names(node.bases))
            source.classes.append((node.name, {aliases.get(base, base) for base in bases}))
    return source


def _last_names(bases: Iterable[ast.expr]) -> Iterator[str]:
    """The last names of base classes: `Service` for `cidery.Service[Place, Order]`."""
    for base in bases:
        if isinstance(base, ast.Subscript):
            base = base.value
        if isinstance(base, ast.Attribute):
            yield base.attr
        elif isinstance(base, ast.Name):
            yield base.id
