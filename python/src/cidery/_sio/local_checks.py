"""Local checks: the part of a declaration that the contract cannot express and the SDK validates.

The values of a dict with any keys, the items of a tuple, items that may be null, and dicts that
contain themselves. For a node each of these is any dict or any list.
"""

from __future__ import annotations

import dataclasses

from cidery._sio.declaration import Elements, Sio
from cidery._sio.element import MISSING, Element, Type, UnknownKeys


def local_part(sio: Sio) -> Sio:
    """The part of a declaration that no node validates; a side without one accepts any value."""
    return dataclasses.replace(sio, input=_local_side(sio.input), output=_local_side(sio.output))


def _local_side(side: Elements | None) -> Elements | None:
    elements = _local_elements(side.elements) if side is not None else ()
    if side is None or not elements:
        return None
    return dataclasses.replace(side, elements=elements, keys=UnknownKeys.KEEP)


def _local_elements(elements: tuple[Element, ...]) -> tuple[Element, ...]:
    return tuple(found for found in map(_local_element, elements) if found is not None)


def _local_element(element: Element) -> Element | None:
    if not needs_local_check(element):
        inside = _local_elements(element.elements or ())
        item = _local_element(element.item) if element.item is not None else None
        if not inside and item is None:
            return None
        elements = inside or None
        element = dataclasses.replace(element, elements=elements, item=item, keys=UnknownKeys.KEEP)
    # The node checks whether it is present.
    return dataclasses.replace(element, is_optional=True, default_value=MISSING)


def needs_local_check(element: Element) -> bool:
    """Whether the element itself has a part that no node validates."""
    return bool(element.each or element.positions or element.recursive_elements)


def refuse_hidden_secrets(elements: tuple[Element, ...]) -> None:
    """Raises a `TypeError` for a secret in such a part: a node could not mask it."""
    for element in elements:
        hidden = [*([element.each] if element.each else ()), *element.positions]
        hidden += element.recursive_elements() if element.recursive_elements is not None else ()
        if contains_secret(tuple(hidden)):
            message = "its values contain a secret, which a node could not mask"
            raise TypeError(f"`{element.name}`: {message}")
        refuse_hidden_secrets(element.elements or ())
        refuse_hidden_secrets((element.item,) if element.item else ())


def contains_secret(elements: tuple[Element, ...]) -> bool:
    """Whether an element, or one within it, is a secret."""
    for element in elements:
        inside = (
            *(element.elements or ()),
            *([element.item] if element.item else ()),
            *([element.each] if element.each else ()),
            *element.positions,
        )
        if element.kind is Type.SECRET or contains_secret(inside):
            return True
    return False
