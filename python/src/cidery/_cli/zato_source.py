"""The source of Zato modules: their classes, imports and base classes. Read by `zato_uses`."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cidery.zato import is_zato_module


@dataclass(eq=False)
class SourceModule:
    """A source file: its classes and imports."""

    file: Path
    tree: ast.Module
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    """The full name behind each imported name."""

    @classmethod
    def of(cls, file: Path) -> SourceModule:
        # Bytes, since a file may declare its encoding.
        module = cls(file, ast.parse(file.read_bytes(), str(file)))
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                module.classes.setdefault(node.name, node)
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    module.imported[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.asname:
                        module.imported[alias.asname] = alias.name
        return module

    def full_name(self, node: ast.expr) -> str:
        """The full name of an expression, resolved by the imports."""
        first, dot, rest = ast.unparse(node).partition(".")
        return self.imported.get(first, first) + dot + rest


class ClassHierarchy:
    """The base classes of the classes of a module, within the files that are read."""

    def __init__(self, module: SourceModule, modules: Iterable[SourceModule]) -> None:
        self._module = module
        self._modules = {each.file.stem: each for each in modules}

    def is_a(self, node: ast.ClassDef, base: str) -> bool:
        """Whether a class derives from `Service` or `Model`."""
        # The bare name is imported by `from zato.server.service import *`.
        names = (base, f"zato.server.service.{base}", f"zato.common.marshal_.api.{base}")
        found = [
            module.full_name(each)
            for module, cls in self.ancestry(node)
            for each in cls.bases
            if ast.unparse(each) not in module.classes
        ]
        return any(name in names for name in found)

    def ancestry(self, node: ast.ClassDef) -> list[tuple[SourceModule, ast.ClassDef]]:
        """A class and its base classes."""
        ancestry = [(self._module, node)]
        for module, cls in ancestry:
            for base in cls.bases:
                found = self._find(module, base)
                if found is not None and found not in ancestry:
                    ancestry.append(found)
        return ancestry

    def _find(
        self, module: SourceModule, base: ast.expr
    ) -> tuple[SourceModule, ast.ClassDef] | None:
        name = ast.unparse(base)
        if name in module.classes:
            return module, module.classes[name]
        owner, _, name = module.full_name(base).rpartition(".")
        other = self._modules.get(owner.rpartition(".")[2])
        if other is None or name not in other.classes or is_zato_module(owner):
            return None
        return other, other.classes[name]
