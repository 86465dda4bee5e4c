"""Detection of services that take or return rows: Zato does not declare it.

A node needs to know it from the declaration. It is derived from the source of the class: from what
its methods assign to `self.response.payload`, and from loops over `self.request.input` whose items
are used as rows, directly or by local aliases.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator
from typing import Any

_PAYLOAD = "self.response.payload"
_ALIASED = ("self", "self.request", "self.request.input", "self.response", _PAYLOAD)
_ROW_OPERATIONS = frozenset({f"{_PAYLOAD}.append", f"{_PAYLOAD}.extend", f"{_PAYLOAD}[:]"})
_INPUT = "self.request.input"
_DICT_OPERATIONS = frozenset({f"{_PAYLOAD}.update"})


def returns_rows(service: type[Any]) -> bool:
    """Whether the declared output describes a row: `output_repeated`, or a class that only appends
    to its payload or assigns `payload[:]`."""
    simple_io = getattr(service, "SimpleIO", None)
    if getattr(simple_io, "output_repeated", False):
        return True
    operations = {text for function in _methods(service) for text in _payload_operations(function)}
    return bool(operations & _ROW_OPERATIONS) and not operations - _ROW_OPERATIONS


def reads_rows(service: type[Any]) -> bool:
    """Whether the declared input describes a row: `input_repeated`, or a loop over the input that
    reads attributes or items of what it yields."""
    simple_io = getattr(service, "SimpleIO", None)
    is_repeated = getattr(simple_io, "input_repeated", None)
    if is_repeated is not None:
        return bool(is_repeated)
    return any(map(_loops_over_rows, _methods(service)))


def _loops_over_rows(function: Any) -> bool:
    tree = _tree_of(function)
    if tree is None:
        return False
    resolve = _alias_resolver(tree)
    for node in ast.walk(tree):
        loops = [node, *getattr(node, "generators", ())]
        for loop in loops:
            is_loop = isinstance(loop, (ast.For, ast.AsyncFor, ast.comprehension))
            if is_loop and _is_input(loop.iter, resolve) and _is_read(loop.target, node):
                return True
    return False


def _is_input(node: ast.expr, resolve: Any) -> bool:
    """Whether it is the input, or `enumerate` of it."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "enumerate" and node.args:
        node = node.args[0]
    if isinstance(node, ast.Name):
        # The alias itself: its first attribute would be that of the input.
        attribute = ast.Attribute(node, "item", ast.Load())
        return bool(resolve(attribute) == f"{_INPUT}.item")
    return bool(resolve(node) == _INPUT)


def _is_read(target: ast.expr, scope: ast.AST) -> bool:
    """Whether an attribute or an item of a loop variable is read."""
    names = {node.id for node in ast.walk(target) if isinstance(node, ast.Name)}
    return any(
        isinstance(node, (ast.Attribute, ast.Subscript))
        and isinstance(node.value, ast.Name)
        and node.value.id in names
        for node in ast.walk(scope)
    )


def _tree_of(function: Any) -> ast.AST | None:
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        # Generated code has no source to analyze.
        return None


def _methods(service: type[Any]) -> list[Any]:
    """The methods of a class, including those of its base classes in the project."""
    found: dict[str, Any] = {}
    for cls in reversed(service.__mro__):
        if cls.__module__.partition(".")[0] != "cidery":
            found.update(vars(cls))
    return [each for each in found.values() if isinstance(each, types.FunctionType)]


def _payload_operations(function: Any) -> Iterator[str]:
    """The operations of a method on the payload, with aliases resolved."""
    tree = _tree_of(function)
    if tree is None:
        return
    resolve = _alias_resolver(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            text = resolve(node.func)
            if text in _ROW_OPERATIONS | _DICT_OPERATIONS:
                yield text
        for target in _targets(node):
            text = resolve(target)
            if text.startswith(_PAYLOAD):
                yield text


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    is_one = isinstance(node, (ast.AnnAssign, ast.AugAssign))
    return [node.target] if is_one else []  # type: ignore[attr-defined]


def _alias_resolver(tree: ast.AST) -> Any:
    """A function that formats an expression with local aliases of the payload resolved."""
    names: dict[str, str] = {}

    def resolve(node: ast.expr) -> str:
        text = ast.unparse(node)
        end = next((i for i, sign in enumerate(text) if sign in ".[("), len(text))
        name, rest = text[:end], text[end:]
        is_alias = isinstance(node, (ast.Attribute, ast.Subscript)) and name in names
        return names[name] + rest if is_alias else text

    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    # In source order: `response = self.response`, then `payload = response.payload`.
    for node in sorted(assigned, key=lambda node: node.lineno):
        if resolve(node.value) in _ALIASED:
            names.update(
                {t.id: resolve(node.value) for t in node.targets if isinstance(t, ast.Name)}
            )
    return resolve
