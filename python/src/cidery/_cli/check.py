"""`python -m cidery check`: what a module of the model uses beyond the layer of `--zato`.

It is read, not run: nothing of it is imported.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from cidery import zato
from cidery._cli.discovery import files_of
from cidery._protocol.options import DataFormat
from cidery._service.request import Request
from cidery._service.response import Outgoing
from cidery.zato._arguments import DATA_FORMAT
from cidery.zato._service import Service

# What is called by the model and not by the layer.
_HOOKS = frozenset(
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
_OF_REQUEST = frozenset(dir(Request)) | {
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
_OF_RESPONSE = frozenset(dir(Outgoing)) | {"metadata", "data_format"}
_OF_PATTERNS = frozenset({"fanout", "invoke_retry", "parallel"})
_OF_SIMPLE_IO = frozenset(
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
_OF_SERVICE = (
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
# What a class declares by its attributes, and the layer does not read.
_DECLARED = {"schema": "JSON Schema of the input"}
_INSIDE = {"patterns": _OF_PATTERNS, "request": _OF_REQUEST, "response": _OF_RESPONSE}
_INVOKES = frozenset(("self.invoke", "self.invoke_async"))
_LEFT_OUT = frozenset(("set_response_func", "target"))
_FORMATS = frozenset(each.value for each in DataFormat)
_Function = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, order=True)
class Use:
    """One thing that is used beyond the layer."""

    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


def check(paths: list[str]) -> int:
    """Lists what the files use; answers 1 where there is anything, 2 where one cannot be read."""
    modules, unread = [], []
    try:
        for file in files_of(paths):
            try:
                modules.append(_Module.of(file))
            except (OSError, SyntaxError, ValueError) as error:
                unread.append(f"{file}: {error}")
    except FileNotFoundError as error:
        unread.append(str(error))
    uses = {use for module in modules for use in _uses(module, modules)}
    for use in sorted(uses):
        sys.stdout.write(f"{use}\n")
    for line in unread:
        sys.stderr.write(f"{line}\n")
    return 2 if unread else int(bool(uses))


def uses_of(*files: Path) -> Iterator[Use]:
    """What files that belong together use beyond the layer."""
    modules = [_Module.of(file) for file in files]
    for module in modules:
        yield from _uses(module, modules)


def _uses(module: _Module, modules: list[_Module]) -> Iterator[Use]:
    for line, what in _Reader(module, _Family(module, modules)).read():
        yield Use(str(module.file), line, what)


@dataclass(eq=False)
class _Module:
    """One file: its classes, and what its names are imported as."""

    file: Path
    tree: ast.Module
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)
    """The dotted name behind a name."""

    @classmethod
    def of(cls, file: Path) -> _Module:
        # Bytes: a file may say how it is encoded.
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
        """The dotted name of an expression, by the imports; a class of the file has none."""
        first, dot, rest = ast.unparse(node).partition(".")
        return self.imported.get(first, first) + dot + rest


class _Family:
    """What the classes of a module descend from, as far as the files that are read say it."""

    def __init__(self, module: _Module, modules: Iterable[_Module]) -> None:
        self._module = module
        self._modules = {each.file.stem: each for each in modules}

    def is_a(self, node: ast.ClassDef, base: str) -> bool:
        """Whether a class descends from `Service` or `Model`."""
        # The bare name is that of `from zato.server.service import *`.
        names = (base, f"zato.server.service.{base}", f"zato.common.marshal_.api.{base}")
        found = [
            module.full_name(each)
            for module, cls in self.line(node)
            for each in cls.bases
            if ast.unparse(each) not in module.classes
        ]
        return any(name in names for name in found)

    def line(self, node: ast.ClassDef) -> list[tuple[_Module, ast.ClassDef]]:
        """The class and those that it descends from."""
        line = [(self._module, node)]
        for module, cls in line:
            for base in cls.bases:
                found = self._find(module, base)
                if found is not None and found not in line:
                    line.append(found)
        return line

    def _find(self, module: _Module, base: ast.expr) -> tuple[_Module, ast.ClassDef] | None:
        name = ast.unparse(base)
        if name in module.classes:
            return module, module.classes[name]
        owner, _, name = module.full_name(base).rpartition(".")
        other = self._modules.get(owner.rpartition(".")[2])
        if other is None or name not in other.classes or _is_of_model(owner):
            return None
        return other, other.classes[name]


class _Reader:
    def __init__(self, module: _Module, family: _Family) -> None:
        self._module = module
        self._family = family

    def read(self) -> Iterator[tuple[int, str]]:
        for node in ast.walk(self._module.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                yield from self._imported(node)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if _is_of_model(alias.name) and alias.name not in zato.LAYER:
                        yield node.lineno, f"the module `{alias.name}`"
            elif isinstance(node, ast.Attribute) and _named(node.value) == "DATA_FORMAT":
                if not hasattr(DATA_FORMAT, node.attr):
                    yield node.lineno, f"`DATA_FORMAT.{node.attr}`"
            elif isinstance(node, ast.ClassDef):
                yield from self._class(node)

    def _imported(self, node: ast.ImportFrom) -> Iterator[tuple[int, str]]:
        module = node.module or ""
        if not _is_of_model(module):
            return
        if module not in zato.LAYER:
            yield node.lineno, f"the module `{module}`"
            return
        for alias in node.names:
            is_module = f"{module}.{alias.name}" in zato.LAYER
            if alias.name not in zato.LAYER[module] and not is_module:
                yield node.lineno, f"`{alias.name}` of `{module}`"

    def _class(self, node: ast.ClassDef) -> Iterator[tuple[int, str]]:
        if node.name == "SimpleIO":
            yield from _simple_io(node)
        elif self._family.is_a(node, "Service"):
            yield from self._service(node)
        elif self._family.is_a(node, "Model"):
            for statement in node.body:
                if isinstance(statement, _Function) and statement.name == "after_created":
                    yield statement.lineno, "`Model.after_created`"

    def _service(self, node: ast.ClassDef) -> Iterator[tuple[int, str]]:
        for statement in node.body:
            if isinstance(statement, ast.ClassDef) and statement.name == "IO":
                yield statement.lineno, "`class IO`: declarations of 4.1"
            for name in _DECLARED.keys() & set(_assigned(statement)):
                yield statement.lineno, f"`{name}`: {_DECLARED[name]}"
            if not isinstance(statement, _Function):
                continue
            if statement.name in _HOOKS:
                yield statement.lineno, f"the hook `{statement.name}`"
            if statement.name.startswith("handle_"):
                yield statement.lineno, f"`{statement.name}`: a handler for one HTTP verb"
            if statement.name == "handle" and _yields(statement):
                yield statement.lineno, "`handle`: a generator as the response"
        known = _OF_SERVICE.union(*(_own(cls) for _, cls in self._family.line(node)))
        for statement in node.body:
            local = _local_names(statement)
            for part in ast.walk(statement):
                if isinstance(part, ast.Assign) and _assigns_generator(part):
                    yield part.lineno, "`self.response.payload`: a generator as the response"
                if isinstance(part, ast.Call):
                    yield from _call(part)
                if isinstance(part, ast.Attribute):
                    what = _attribute(part, known, local)
                    if what:
                        yield part.lineno, what


def _simple_io(node: ast.ClassDef) -> Iterator[tuple[int, str]]:
    for statement in node.body:
        if isinstance(statement, ast.ClassDef):
            yield statement.lineno, f"`SimpleIO.{statement.name}`"
        for name in _assigned(statement):
            if name not in _OF_SIMPLE_IO:
                yield statement.lineno, f"`SimpleIO.{name}`"


def _call(node: ast.Call) -> Iterator[tuple[int, str]]:
    """What a call asks for that is left out."""
    if ast.unparse(node.func) not in _INVOKES:
        return
    named = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    for name in sorted(_LEFT_OUT.intersection(named)):
        yield node.lineno, f"`{name}` of `{ast.unparse(node.func)}`"
    # Positions are those of the model's signatures.
    service = _text(node.args[0] if node.args else named.get("name", named.get("zato_name")))
    if "@" in service:
        yield node.lineno, f"`{service}`: a service of one server"
    data_format = _text(node.args[3] if len(node.args) > 3 else named.get("data_format"))
    if data_format and data_format not in _FORMATS:
        yield node.lineno, f"the data format `{data_format}`"


def _attribute(node: ast.Attribute, known: frozenset[str], local: dict[str, str]) -> str | None:
    first, *steps = ast.unparse(node).split(".")
    if not all(step.isidentifier() for step in steps):
        return None
    of_self = local.get(first, first).split(".") + steps
    if of_self[0] != "self":
        return None
    if len(of_self) == 2:
        return None if of_self[1] in known else f"`self.{of_self[1]}`"
    inside = _INSIDE.get(of_self[1])
    if len(of_self) == 3 and inside is not None and of_self[2] not in inside:
        return f"`{'.'.join(of_self)}`"
    return None


def _local_names(function: ast.AST) -> dict[str, str]:
    """`request` for `self.request`, where a function says `request = self.request`."""
    names = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and ast.unparse(node.value) in _WRITTEN_OUT:
            for target in node.targets:
                if isinstance(target, ast.Name):
                    names[target.id] = ast.unparse(node.value)
    return names


_WRITTEN_OUT = frozenset({"self", *(f"self.{name}" for name in _INSIDE)})


def _own(node: ast.ClassDef) -> set[str]:
    """The attributes that a class makes itself."""
    own = {name for statement in node.body for name in _assigned(statement)}
    own |= {s.name for s in node.body if isinstance(s, (*_Function, ast.ClassDef))}
    for part in ast.walk(node):
        is_set = isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
        if is_set and _named(part.value) == "self":  # type: ignore[attr-defined]
            own.add(part.attr)  # type: ignore[attr-defined]
    return own


def _assigned(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement assigns to, annotated or not."""
    targets = [statement.target] if isinstance(statement, ast.AnnAssign) else []
    for target in getattr(statement, "targets", targets):
        name = _named(target)
        if name:
            yield name


def _yields(function: ast.AST) -> bool:
    """Whether it does so itself: a function within it may."""
    for node in ast.iter_child_nodes(function):
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, (*_Function, ast.Lambda)) and _yields(node):
            return True
    return False


def _assigns_generator(node: ast.Assign) -> bool:
    is_payload = "self.response.payload" in map(ast.unparse, node.targets)
    return is_payload and isinstance(node.value, ast.GeneratorExp)


def _named(node: ast.AST) -> str | None:
    return node.id if isinstance(node, ast.Name) else None


def _text(node: ast.AST | None) -> str:
    is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return node.value if is_text else ""  # type: ignore[union-attr]


def _is_of_model(module: str) -> bool:
    return module == "zato" or module.startswith("zato.")
