"""Draws an asciicast as an animated SVG: no script, no font of its own, nothing from another host.

scripts/cast calls it. A terminal emulator (pyte) replays the recording. Each screen that differs from the one before is
a frame; the frames are one below the other, and a CSS animation moves them through the window. A line that several
frames have is drawn once. Readers who ask for less motion see the last frame.

    svg.py CAST SVG
"""

import json
import sys
from pathlib import Path
from xml.sax.saxutils import escape

import pyte

CELL_WIDTH, CELL_HEIGHT = 8.4, 18
PADDING, BAR = 14, 30
# Screens that last shorter are left out, so that typing takes few frames.
FRAME_SECONDS = 0.11
MAX_PAUSE_SECONDS = 2.5
LAST_FRAME_SECONDS = 4.0

BACKGROUND, FOREGROUND, FRAME = "#14171f", "#d5d9e3", "#2a303d"
COLORS = {
    "black": "#6b7386",
    "red": "#ff8787",
    "green": "#8ce99a",
    "brown": "#ffd43b",
    "blue": "#91a7ff",
    "magenta": "#e599f7",
    "cyan": "#66d9e8",
    "white": "#d5d9e3",
}

# A line of the screen: its runs of cells with one style, as (column, text, color, bold).
Line = tuple[tuple[int, str, str, bool], ...]
# A screen: its lines.
Screen = tuple[Line, ...]


def color_of(cell: pyte.screens.Char) -> str:
    name = cell.fg.removeprefix("bright")
    return COLORS.get(name, FOREGROUND if name == "default" else f"#{name}")


def line_of(screen: pyte.Screen, row: int) -> Line:
    runs: list[tuple[int, str, str, bool]] = []
    for column in range(screen.columns):
        cell = screen.buffer[row][column]
        style = (color_of(cell), cell.bold)
        if runs and runs[-1][2:] == style:
            start, text, *_ = runs[-1]
            runs[-1] = (start, text + cell.data, *style)
        else:
            runs.append((column, cell.data, *style))
    stripped = ((start, text.rstrip(), color, bold) for start, text, color, bold in runs)
    return tuple(run for run in stripped if run[1])


def screens(cast: str) -> tuple[int, int, list[tuple[float, Screen]]]:
    """The size of the terminal, and its screens with the seconds for which each is shown."""
    header, *events = (json.loads(line) for line in Path(cast).read_text().splitlines())
    terminal = pyte.Screen(header["width"], header["height"])
    stream = pyte.Stream(terminal)
    frames: list[tuple[float, Screen]] = []
    shown = 0.0
    for (at, _, text), following in zip(events, [*events[1:], None], strict=True):
        stream.feed(text)
        shown += LAST_FRAME_SECONDS if following is None else min(following[0] - at, MAX_PAUSE_SECONDS)
        if shown < FRAME_SECONDS and following is not None:
            continue
        screen = tuple(line_of(terminal, row) for row in range(terminal.lines))
        if frames and frames[-1][1] == screen:
            frames[-1] = (frames[-1][0] + shown, screen)
        else:
            frames.append((shown, screen))
        shown = 0.0
    return header["width"], header["height"], frames


def draw_line(line: Line) -> str:
    parts = []
    for column, text, color, bold in line:
        attributes = f'x="{column * CELL_WIDTH:.1f}" textLength="{len(text) * CELL_WIDTH:.1f}"'
        attributes += "" if color == FOREGROUND else f' fill="{color}"'
        attributes += ' font-weight="bold"' if bold else ""
        parts.append(f"<tspan {attributes}>{escape(text)}</tspan>")
    return "".join(parts)


def animation(frames: list[tuple[float, Screen]], height: float) -> str:
    """The keyframes: at which share of the time which frame is in the window."""
    total = sum(seconds for seconds, _ in frames)
    begin, steps = 0.0, []
    for number, (seconds, _) in enumerate(frames):
        steps.append(f"{begin / total * 100:.2f}%{{transform:translateY({-number * height:.0f}px)}}")
        begin += seconds
    last = f"translateY({-(len(frames) - 1) * height:.0f}px)"
    return (
        f"@keyframes f{{{''.join(steps)}100%{{transform:{last}}}}}"
        f"#f{{animation:f {total:.1f}s step-end infinite}}"
        f"@media (prefers-reduced-motion:reduce){{#f{{animation:none;transform:{last}}}}}"
    )


def main(cast: str, target: str) -> None:
    columns, rows, frames = screens(cast)
    width, height = columns * CELL_WIDTH, rows * CELL_HEIGHT
    ids: dict[Line, int] = {}
    for _, screen in frames:
        for line in screen:
            if line:
                ids.setdefault(line, len(ids))
    lines = "".join(f'<text id="l{number}">{draw_line(line)}</text>' for line, number in ids.items())
    film = []
    for number, (_, screen) in enumerate(frames):
        uses = (
            f'<use href="#l{ids[line]}" y="{number * height + (row + 0.75) * CELL_HEIGHT:.0f}"/>'
            for row, line in enumerate(screen)
            if line
        )
        film.append("".join(uses))
    outer = (width + 2 * PADDING, height + BAR + PADDING)
    dots = "".join(f'<circle cx="{20 + 18 * dot}" cy="16" r="5" fill="{FRAME}"/>' for dot in range(3))
    Path(target).write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {outer[0]:.0f} {outer[1]:.0f}" role="img">'
        f"<title>A tour of Cidery in a terminal</title>"
        f"<style>text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace;"
        f"fill:{FOREGROUND};white-space:pre}}{animation(frames, height)}</style>"
        f"<defs>{lines}</defs>"
        f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}" stroke="{FRAME}"/>{dots}'
        f'<svg x="{PADDING}" y="{BAR}" width="{width:.0f}" height="{height}"><g id="f">{"".join(film)}</g></svg>'
        "</svg>\n"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
