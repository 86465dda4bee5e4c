"""What a declaration says beyond the contract, which a node is not told of: the SDK checks it.

What each value of a dict of any keys is, the items of a tuple one by one, items that may be null,
dicts that contain themselves. A node takes any dict and any list there.
"""

from __future__ import annotations

import dataclasses

from cidery._sio.declaration import Elements, Sio
from cidery._sio.element import _NOTHING, Element, Type, UnknownKeys


def beyond(sio: Sio) -> Sio:
    """The part of a declaration that no node checks; a side without such a part takes anything."""
    return dataclasses.replace(sio, input=_side(sio.input), output=_side(sio.output))


def _side(side: Elements | None) -> Elements | None:
    elements = _all_of(side.elements) if side is not None else ()
    if side is None or not elements:
        return None
    return dataclasses.replace(side, elements=elements, keys=UnknownKeys.KEEP)


def _all_of(elements: tuple[Element, ...]) -> tuple[Element, ...]:
    return tuple(found for found in map(_of, elements) if found is not None)


def _of(element: Element) -> Element | None:
    if not is_beyond(element):
        inside = _all_of(element.elements or ())
        item = _of(element.item) if element.item is not None else None
        if not inside and item is None:
            return None
        elements = inside or None
        element = dataclasses.replace(element, elements=elements, item=item, keys=UnknownKeys.KEEP)
    # Whether it has to be there is what a node knows.
    return dataclasses.replace(element, is_optional=True, default_value=_NOTHING)


def is_beyond(element: Element) -> bool:
    """Whether it says itself what a node is not told of."""
    return bool(element.each or element.positions or element.again)


def refuse_hidden_secrets(elements: tuple[Element, ...]) -> None:
    """A node cannot mask what it is not told of: a `TypeError` names it."""
    for element in elements:
        hidden = [*([element.each] if element.each else ()), *element.positions]
        hidden += element.again() if element.again is not None else ()
        if has_secret(tuple(hidden)):
            message = "what it is of has a secret, which a node would not know and not mask"
            raise TypeError(f"`{element.name}`: {message}")
        refuse_hidden_secrets(element.elements or ())
        refuse_hidden_secrets((element.item,) if element.item else ())


def has_secret(elements: tuple[Element, ...]) -> bool:
    """Whether a secret is among these, or in them."""
    for element in elements:
        inside = (
            *(element.elements or ()),
            *([element.item] if element.item else ()),
            *([element.each] if element.each else ()),
            *element.positions,
        )
        if element.kind is Type.SECRET or has_secret(inside):
            return True
    return False
