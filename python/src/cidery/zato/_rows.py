"""Whether a service answers rows: the model does not declare it, its handlers just do so.

A node has to know before. It is read from the source of the class: what is set of
`self.response.payload` in its methods, and through local names for it.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import types
from collections.abc import Iterator
from typing import Any

_PAYLOAD = "self.response.payload"
_ALIASED = ("self", "self.response", _PAYLOAD)
_ROW_OPERATIONS = frozenset({f"{_PAYLOAD}.append", f"{_PAYLOAD}.extend", f"{_PAYLOAD}[:]"})
_DICT_OPERATIONS = frozenset({f"{_PAYLOAD}.update"})


def returns_rows(service: type[Any]) -> bool:
    """Whether what is declared of the output is of each row: `output_repeated` says so, or a
    class that fills `payload[:]`, or appends to it, and sets nothing else of it."""
    simple_io = getattr(service, "SimpleIO", None)
    if getattr(simple_io, "output_repeated", False):
        return True
    operations = {text for function in _methods(service) for text in _payload_operations(function)}
    return bool(operations & _ROW_OPERATIONS) and not operations - _ROW_OPERATIONS


def _methods(service: type[Any]) -> list[Any]:
    """The methods of a class, with those of the project's own base classes."""
    found: dict[str, Any] = {}
    for cls in reversed(service.__mro__):
        if not cls.__module__.startswith("cidery."):
            found.update(vars(cls))
    return [each for each in found.values() if isinstance(each, types.FunctionType)]


def _payload_operations(function: Any) -> Iterator[str]:
    """What one method does with the payload, as texts with local names written out."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError, TypeError):
        # Made by other code: nothing can be read of it.
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
    """Writes an expression as text, with `p` of `p = self.response.payload` written out."""
    names: dict[str, str] = {}

    def resolve(node: ast.expr) -> str:
        text = ast.unparse(node)
        end = next((i for i, sign in enumerate(text) if sign in ".[("), len(text))
        name, rest = text[:end], text[end:]
        is_alias = isinstance(node, (ast.Attribute, ast.Subscript)) and name in names
        return names[name] + rest if is_alias else text

    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    # In their order: `response = self.response`, then `payload = response.payload`.
    for node in sorted(assigned, key=lambda node: node.lineno):
        if resolve(node.value) in _ALIASED:
            names.update(
                {t.id: resolve(node.value) for t in node.targets if isinstance(t, ast.Name)}
            )
    return resolve
