"""Pictures of screens with 64 colours: a fourth of the bytes, and nothing that is seen is lost."""

from __future__ import annotations

import struct
import zlib
from array import array
from collections import Counter

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = 64


def with_palette(png: bytes) -> bytes:
    """A PNG of 8 bits per channel, as one with a palette."""
    width, height, pixels = decoded(png)
    used = Counter(pixels)
    palette = [colour for colour, _ in used.most_common(COLOURS)]
    index = {colour: at for at, colour in enumerate(palette)}
    for colour in used:
        if colour not in index:
            index[colour] = nearest(palette, colour)
    indexed = bytes(map(index.__getitem__, pixels))
    rows = b"".join(b"\0" + indexed[at : at + width] for at in range(0, width * height, width))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    colours = b"".join(colour.to_bytes(4, "little")[:3] for colour in palette)
    return b"".join(
        [
            SIGNATURE,
            chunk(b"IHDR", header),
            chunk(b"PLTE", colours),
            chunk(b"IDAT", zlib.compress(rows, 9)),
            chunk(b"IEND", b""),
        ]
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def nearest(palette: list[int], colour: int) -> int:
    red, green, blue = colour & 255, colour >> 8 & 255, colour >> 16 & 255

    def distance(at: int) -> int:
        other = palette[at]
        return (
            (red - (other & 255)) ** 2
            + (green - (other >> 8 & 255)) ** 2
            + (blue - (other >> 16 & 255)) ** 2
        )

    return min(range(len(palette)), key=distance)


def decoded(png: bytes) -> tuple[int, int, array[int]]:
    """Width, height, and a number for each pixel: red, green and blue from its lowest byte on."""
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    channels = {2: 3, 6: 4}.get(kind)
    assert depth == 8 and channels, "no PNG as browsers write them"  # noqa: PT018
    packed, at = b"", len(SIGNATURE)
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        if png[at + 4 : at + 8] == b"IDAT":
            packed += png[at + 8 : at + 8 + length]
        at += 12 + length
    data = zlib.decompress(packed)
    stride = width * channels
    pixels = array("I")
    above = bytearray(stride)
    for row in range(height):
        start = row * (stride + 1)
        line = bytearray(data[start + 1 : start + 1 + stride])
        unfilter(data[start], line, above, channels)
        wide = bytearray(4 * width)
        for channel in range(3):
            wide[channel::4] = line[channel::channels]
        pixels.frombytes(bytes(wide))
        above = line
    return width, height, pixels


def unfilter(kind: int, line: bytearray, above: bytearray, step: int) -> None:
    """Undoes what makes a line of a PNG small: differences to what is left of it and above."""
    if kind == 0:
        return
    for at in range(len(line)):
        left = line[at - step] if at >= step else 0
        up = above[at]
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        else:
            corner = above[at - step] if at >= step else 0
            guess = paeth(left, up, corner)
        line[at] = (line[at] + guess) & 255


def paeth(left: int, up: int, corner: int) -> int:
    estimate = left + up - corner
    return min((left, up, corner), key=lambda one: abs(estimate - one))
