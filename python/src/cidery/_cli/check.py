"""`python -m cidery check`: lists what a Zato module uses beyond the layer of `--zato`.

A static analysis: the module is not imported.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cidery import zato
from cidery._cli.discovery import find_files
from cidery._protocol.options import DataFormat
from cidery._service.request import Request
from cidery._service.response import HandlerResponse
from cidery.zato._arguments import DATA_FORMAT
from cidery.zato._service import Service

# Hooks of Zato that the layer does not call.
_UNSUPPORTED_HOOKS = frozenset(
    (
        "accept",
        "after_add_to_store",
        "after_cron_style_jobs",
        "after_interval_based_jobs",
        "after_job",
        "after_one_time_jobs",
        "before_add_to_store",
        "before_cron_style_jobs",
        "before_interval_based_jobs",
        "before_job",
        "before_one_time_jobs",
        "get_request_hash",
    )
)
_REQUEST_ATTRIBUTES = frozenset(dir(Request)) | {
    "cid",
    "data_format",
    "headers",
    "input",
    "metadata",
    "payload",
    "raw",
    "raw_request",
    "text",
}
_RESPONSE_ATTRIBUTES = frozenset(dir(HandlerResponse)) | {"metadata", "data_format"}
_PATTERNS = frozenset({"fanout", "invoke_retry", "parallel"})
_SIMPLE_IO_ATTRIBUTES = frozenset(
    (
        "csv",
        "empty_strings",
        "input",
        "input_optional",
        "input_required",
        "output",
        "output_optional",
        "output_repeated",
        "output_required",
        "response_elem",
        "unknown_keys",
    )
)
_SERVICE_ATTRIBUTES = (
    frozenset(dir(Service))
    | set(Service.__annotations__)
    | {
        "request",
        "response",
        "logger",
        "error",
        "SimpleIO",
    }
)
# Class attributes of Zato that the layer ignores.
_UNSUPPORTED_ATTRIBUTES = {"schema": "JSON Schema of the input"}
_ATTRIBUTES_OF = {
    "patterns": _PATTERNS,
    "request": _REQUEST_ATTRIBUTES,
    "response": _RESPONSE_ATTRIBUTES,
}
_INVOKE_METHODS = frozenset(("self.invoke", "self.invoke_async"))
_UNSUPPORTED_ARGUMENTS = frozenset(("set_response_func", "target"))
_FORMATS = frozenset(each.value for each in DataFormat)
_Function = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, order=True)
class UnsupportedUse:
    """A use of a feature that the layer does not support."""

    file: str
    line: int
    description: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.description}"


def check(paths: list[str]) -> int:
    """Prints the unsupported uses; returns 1 if there are any, 2 if a file cannot be read."""
    modules, unreadable = [], []
    try:
        for file in find_files(paths):
            try:
                modules.append(_SourceModule.of(file))
            except (OSError, SyntaxError, ValueError) as error:
                unreadable.append(f"{file}: {error}")
    except FileNotFoundError as error:
        unreadable.append(str(error))
    uses = {use for module in modules for use in _find_module_uses(module, modules)}
    for use in sorted(uses):
        sys.stdout.write(f"{use}\n")
    for line in unreadable:
        sys.stderr.write(f"{line}\n")
    return 2 if unreadable else int(bool(uses))


def find_uses(*files: Path) -> Iterator[UnsupportedUse]:
    """The unsupported uses in files of one project."""
    modules = [_SourceModule.of(file) for file in files]
    for module in modules:
        yield from _find_module_uses(module, modules)


def _find_module_uses(
    module: _SourceModule, modules: list[_SourceModule]
) -> Iterator[UnsupportedUse]:
    for line, description in _UseFinder(module, _ClassHierarchy(module, modules)).find():
        yield UnsupportedUse(str(module.file), line, description)


@dataclass(eq=False)
class _SourceModule:
    """A source file: its classes and imports."""

    file: Path
    tree: ast.Module
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    """The full name behind each imported name."""

    @classmethod
    def of(cls, file: Path) -> _SourceModule:
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


class _ClassHierarchy:
    """The base classes of the classes of a module, within the files that are read."""

    def __init__(self, module: _SourceModule, modules: Iterable[_SourceModule]) -> None:
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

    def ancestry(self, node: ast.ClassDef) -> list[tuple[_SourceModule, ast.ClassDef]]:
        """A class and its base classes."""
        ancestry = [(self._module, node)]
        for module, cls in ancestry:
            for base in cls.bases:
                found = self._find(module, base)
                if found is not None and found not in ancestry:
                    ancestry.append(found)
        return ancestry

    def _find(
        self, module: _SourceModule, base: ast.expr
    ) -> tuple[_SourceModule, ast.ClassDef] | None:
        name = ast.unparse(base)
        if name in module.classes:
            return module, module.classes[name]
        owner, _, name = module.full_name(base).rpartition(".")
        other = self._modules.get(owner.rpartition(".")[2])
        if other is None or name not in other.classes or _is_zato_module(owner):
            return None
        return other, other.classes[name]


class _UseFinder:
    def __init__(self, module: _SourceModule, hierarchy: _ClassHierarchy) -> None:
        self._module = module
        self._hierarchy = hierarchy

    def find(self) -> Iterator[tuple[int, str]]:
        for node in ast.walk(self._module.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                yield from self._check_import(node)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if _is_zato_module(alias.name) and alias.name not in zato.LAYER:
                        yield node.lineno, f"the module `{alias.name}`"
            elif isinstance(node, ast.Attribute) and _name_of(node.value) == "DATA_FORMAT":
                if not hasattr(DATA_FORMAT, node.attr):
                    yield node.lineno, f"`DATA_FORMAT.{node.attr}`"
            elif isinstance(node, ast.ClassDef):
                yield from self._check_class(node)

    def _check_import(self, node: ast.ImportFrom) -> Iterator[tuple[int, str]]:
        module = node.module or ""
        if not _is_zato_module(module):
            return
        if module not in zato.LAYER:
            yield node.lineno, f"the module `{module}`"
            return
        for alias in node.names:
            is_module = f"{module}.{alias.name}" in zato.LAYER
            if alias.name not in zato.LAYER[module] and not is_module:
                yield node.lineno, f"`{alias.name}` of `{module}`"

    def _check_class(self, node: ast.ClassDef) -> Iterator[tuple[int, str]]:
        if node.name == "SimpleIO":
            yield from _check_simple_io(node)
        elif self._hierarchy.is_a(node, "Service"):
            yield from self._check_service(node)
        elif self._hierarchy.is_a(node, "Model"):
            for statement in node.body:
                if isinstance(statement, _Function) and statement.name == "after_created":
                    yield statement.lineno, "`Model.after_created`"

    def _check_service(self, node: ast.ClassDef) -> Iterator[tuple[int, str]]:
        for statement in node.body:
            if isinstance(statement, ast.ClassDef) and statement.name == "IO":
                yield statement.lineno, "`class IO`: declarations of 4.1"
            for name in _UNSUPPORTED_ATTRIBUTES.keys() & set(_assigned(statement)):
                yield statement.lineno, f"`{name}`: {_UNSUPPORTED_ATTRIBUTES[name]}"
            if not isinstance(statement, _Function):
                continue
            if statement.name in _UNSUPPORTED_HOOKS:
                yield statement.lineno, f"the hook `{statement.name}`"
            if statement.name.startswith("handle_"):
                yield statement.lineno, f"`{statement.name}`: a handler for one HTTP verb"
            if statement.name == "handle" and _yields(statement):
                yield statement.lineno, "`handle`: a generator as the response"
        known = _SERVICE_ATTRIBUTES.union(
            *(_defined_names(cls) for _, cls in self._hierarchy.ancestry(node))
        )
        for statement in node.body:
            local = _local_names(statement)
            for part in ast.walk(statement):
                if isinstance(part, ast.Assign) and _assigns_generator(part):
                    yield part.lineno, "`self.response.payload`: a generator as the response"
                if isinstance(part, ast.Call):
                    yield from _check_call(part)
                if isinstance(part, ast.Attribute):
                    description = _check_attribute(part, known, local)
                    if description:
                        yield part.lineno, description


def _check_simple_io(node: ast.ClassDef) -> Iterator[tuple[int, str]]:
    for statement in node.body:
        if isinstance(statement, ast.ClassDef):
            yield statement.lineno, f"`SimpleIO.{statement.name}`"
        for name in _assigned(statement):
            if name not in _SIMPLE_IO_ATTRIBUTES:
                yield statement.lineno, f"`SimpleIO.{name}`"


def _check_call(node: ast.Call) -> Iterator[tuple[int, str]]:
    """The unsupported arguments of a call."""
    if ast.unparse(node.func) not in _INVOKE_METHODS:
        return
    keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    for name in sorted(_UNSUPPORTED_ARGUMENTS.intersection(keywords)):
        yield node.lineno, f"`{name}` of `{ast.unparse(node.func)}`"
    # Positions follow Zato's signatures.
    service = _string_of(
        node.args[0] if node.args else keywords.get("name", keywords.get("zato_name"))
    )
    if "@" in service:
        yield node.lineno, f"`{service}`: a service of one server"
    data_format = _string_of(node.args[3] if len(node.args) > 3 else keywords.get("data_format"))
    if data_format and data_format not in _FORMATS:
        yield node.lineno, f"the data format `{data_format}`"


def _check_attribute(
    node: ast.Attribute, known: frozenset[str], local: dict[str, str]
) -> str | None:
    first, *steps = ast.unparse(node).split(".")
    if not all(step.isidentifier() for step in steps):
        return None
    path = local.get(first, first).split(".") + steps
    if path[0] != "self":
        return None
    if len(path) == 2:
        return None if path[1] in known else f"`self.{path[1]}`"
    allowed = _ATTRIBUTES_OF.get(path[1])
    if len(path) == 3 and allowed is not None and path[2] not in allowed:
        return f"`{'.'.join(path)}`"
    return None


def _local_names(function: ast.AST) -> dict[str, str]:
    """Local aliases, such as `request` for `self.request`."""
    names = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and ast.unparse(node.value) in _ALIASED_EXPRESSIONS:
            for target in node.targets:
                if isinstance(target, ast.Name):
                    names[target.id] = ast.unparse(node.value)
    return names


_ALIASED_EXPRESSIONS = frozenset({"self", *(f"self.{name}" for name in _ATTRIBUTES_OF)})


def _defined_names(node: ast.ClassDef) -> set[str]:
    """The attributes that a class itself defines."""
    names = {name for statement in node.body for name in _assigned(statement)}
    names |= {s.name for s in node.body if isinstance(s, (*_Function, ast.ClassDef))}
    for part in ast.walk(node):
        is_set = isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
        if is_set and _name_of(part.value) == "self":  # type: ignore[attr-defined]
            names.add(part.attr)  # type: ignore[attr-defined]
    return names


def _assigned(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement assigns to, annotated or not."""
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else []
    for target in getattr(statement, "targets", targets):
        name = _name_of(target)
        if name:
            yield name


def _yields(function: ast.AST) -> bool:
    """Whether a function yields, nested functions aside."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (*_Function, ast.Lambda)) and _yields(node):
            return True
    return False


def _assigns_generator(node: ast.Assign) -> bool:
    is_payload = "self.response.payload" in map(ast.unparse, node.targets)
    return is_payload and isinstance(node.value, ast.GeneratorExp)


def _name_of(node: ast.AST) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


def _string_of(node: ast.AST | None) -> str:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else ""  # type: ignore[union-attr]


def _is_zato_module(module: str) -> bool:
    return module == "zato" or module.startswith("zato.")
