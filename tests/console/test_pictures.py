"""The pictures of the documentation: their list, their page and their files agree."""

from __future__ import annotations

import struct

import pictures
from palette import COLOURS, SIGNATURE

LISTED = {
    section.file(look): look
    for section in pictures.SECTIONS
    for row in section.looks()
    for look in row
}


def test_the_page_shows_what_is_listed() -> None:
    assert pictures.PAGE.read_text() == pictures.document(), "scripts/pictures --docs writes it"


def test_the_files_are_those_listed() -> None:
    assert {file.name for file in pictures.DOCS.glob("*.png")} == set(LISTED)


def test_files_are_small_and_of_their_size() -> None:
    total = 0
    for name, look in LISTED.items():
        content = (pictures.DOCS / name).read_bytes()
        total += len(content)
        assert content.startswith(SIGNATURE), name
        width, height, _, kind = struct.unpack(">IIBB", content[16:26])
        assert {"width": width, "height": height} == pictures.SIZES[look.size], name
        # With a palette, which comes first.
        assert kind == 3, name
        assert content[37:41] == b"PLTE", name
        assert struct.unpack(">I", content[33:37])[0] <= 3 * COLOURS, name
    assert total <= 1_600_000


def test_each_screen_is_there_in_each_theme_and_size() -> None:
    looks = set(LISTED.values())
    assert {(look.size, look.theme) for look in looks} == {
        (size, theme) for size in pictures.SIZES for theme in pictures.THEMES
    }
    for section in pictures.SECTIONS:
        full = {(look.size, look.theme) for look in section.looks()[0]}
        wide = {theme for size, theme in full if size == "wide"}
        assert len(full) == (2 if section.brief else 3)
        assert section.brief or wide == set(pictures.THEMES)
