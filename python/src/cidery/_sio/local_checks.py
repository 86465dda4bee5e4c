"""What a declaration says beyond the contract, which a node is not told of: the SDK checks it.

What each value of a dict of any keys is, the items of a tuple one by one, items that may be null,
dicts that contain themselves. A node takes any dict and any list there.
"""

from __future__ import annotations

import dataclasses

from cidery._sio.declaration import Elements, Sio
from cidery._sio.element import MISSING, Element, Type, UnknownKeys


def local_part(sio: Sio) -> Sio:
    """The part of a declaration that no node checks; a side without such a part takes anything."""
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
    # Whether it has to be there is what a node knows.
    return dataclasses.replace(element, is_optional=True, default_value=MISSING)


def needs_local_check(element: Element) -> bool:
    """Whether it says itself what a node is not told of."""
    return bool(element.each or element.positions or element.recursive_elements)


def refuse_hidden_secrets(elements: tuple[Element, ...]) -> None:
    """A node cannot mask what it is not told of: a `TypeError` names it."""
    for element in elements:
        hidden = [*([element.each] if element.each else ()), *element.positions]
        hidden += element.recursive_elements() if element.recursive_elements is not None else ()
        if contains_secret(tuple(hidden)):
            message = "what it is of has a secret, which a node would not know and not mask"
            raise TypeError(f"`{element.name}`: {message}")
        refuse_hidden_secrets(element.elements or ())
        refuse_hidden_secrets((element.item,) if element.item else ())


def contains_secret(elements: tuple[Element, ...]) -> bool:
    """Whether a secret is among these, or in them."""
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
