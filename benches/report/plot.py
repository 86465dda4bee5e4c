"""Plots of records as SVG: goals, rates and latencies in one file, curves of growth in another."""

import math
import pathlib

import matplotlib as mpl
import tables
from matplotlib import pyplot
from matplotlib.axes import Axes
from tables import Record

# The same records give the same file; text stays text.
mpl.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 8, "axes.titlesize": 9})
METADATA = {"Date": None}
OURS, OTHERS = "#1f77b4", ["#999999", "#ff7f0e", "#2ca02c", "#9467bd", "#8c564b"]
# What the sheets of a row differ by, where it is not a size that grows.
FIXED = {"callers", "percent of capacity"}


def draw(records: list[Record], folder: pathlib.Path) -> list[pathlib.Path]:
    """Draws what there is; the files."""
    fixed = [record for record in records if record["x"] in FIXED]
    growing = [record for record in records if record["x"] not in FIXED]
    panels = []
    if any(record["goal"] for record in fixed):
        panels.append((draw_goals, [record for record in fixed if record["goal"]]))
    for rows in by_row(fixed):
        if rates := [record for record in rows if record["figure"].endswith("per second") and record["against"]]:
            panels.append((draw_rates, rates))
        elif rows[0]["x"] == "percent of capacity":
            panels.append((draw_latencies, rows))
    files = [figure(panels, folder / "bench.svg")] if panels else []
    if growing:
        files.append(figure([(draw_curves, rows) for rows in by_row(growing)], folder / "growth.svg"))
    return files


def by_row(records: list[Record]) -> list[list[Record]]:
    rows: dict[str, list[Record]] = {}
    for record in records:
        rows.setdefault(record["row"], []).append(record)
    return list(rows.values())


def figure(panels: list, file: pathlib.Path) -> pathlib.Path:
    """The goals above, as wide as the page, and two columns of other panels."""
    goals = [panel for panel in panels if panel[0] is draw_goals]
    others = [panel for panel in panels if panel[0] is not draw_goals]
    lines = math.ceil(len(others) / 2)
    heights = [0.14 * len(records) + 0.6 for _, records in goals] + ([2.6 * lines] if lines else [])
    drawn = pyplot.figure(figsize=(10, sum(heights)), layout="constrained")
    parts = list(drawn.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0])
    for (panel, records), part in zip(goals, parts, strict=False):
        panel(part.subplots(), records)
    if lines:
        axes = parts[-1].subplots(lines, 2, squeeze=False).flatten()
        for axis in axes[len(others) :]:
            axis.set_axis_off()
        for (panel, records), axis in zip(others, axes, strict=False):
            panel(axis, records)
    drawn.savefig(file, metadata=METADATA)
    pyplot.close(drawn)
    return file


def draw_goals(axis: Axes, records: list[Record]) -> None:
    names = []
    for record in records:
        beside = f" beside {record['against']}" if record["against"] else ""
        names.append(f"{record['title']}, {record['at']:g}: {record['figure'].removesuffix(', goal')}{beside}")
    shares = [tables.share_of_goal(record) for record in records]
    colors = [OURS if share >= 1 else "#d62728" for share in shares]
    axis.barh(range(len(names)), shares, color=colors)
    axis.set_yticks(range(len(names)), names, fontsize=6)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xscale("log")
    axis.set_xlim(0.1, 10)
    axis.set_xticks([0.1, 0.5, 1, 2, 10], ["0.1", "0.5", "1", "2", "10"])
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_title("Measured beside the goal: met where the bar reaches the line")


def draw_rates(axis: Axes, records: list[Record]) -> None:
    """Bars of the rates of all contenders at each number of callers."""
    callers = sorted({record["at"] for record in records})
    rates: dict[str, list[float]] = {}
    for record in records:
        place = callers.index(record["at"])
        who = rates.setdefault(record["who"], [math.nan] * len(callers))
        who[place] = record["median"]
        against = rates.setdefault(record["against"], [math.nan] * len(callers))
        against[place] = record["baseline_median"]
    width = 0.8 / len(rates)
    for n, (name, values) in enumerate(rates.items()):
        places = [place + n * width for place in range(len(callers))]
        color = OURS if n == 0 else OTHERS[(n - 1) % len(OTHERS)]
        axis.bar_label(axis.bar(places, values, width, label=name, color=color), fmt="{:,.0f}", fontsize=6)
    middle = 0.4 - width / 2
    axis.set_xticks([place + middle for place in range(len(callers))], [f"{n:g}" for n in callers])
    axis.set_xlabel(records[0]["x"])
    axis.set_yscale("log")
    axis.margins(y=0.15)
    axis.set_ylabel(records[0]["figure"])
    axis.set_title(records[0]["title"])
    axis.legend(fontsize=6, loc="upper left")


def draw_latencies(axis: Axes, records: list[Record]) -> None:
    """Latencies at each quantile; a line for each contender and rate."""
    for part in sorted({record["at"] for record in records}):
        rows = [record for record in records if record["at"] == part]
        names = [record["figure"].removesuffix(", us") for record in rows]
        style = "-" if part > 50 else "--"
        for key, who, color in (("median", "who", OURS), ("baseline_median", "against", OTHERS[0])):
            values = [record[key] for record in rows]
            axis.plot(names, values, style, marker="o", color=color, label=f"{rows[0][who]} at {part:g} %")
    axis.set_yscale("log")
    axis.set_ylabel("µs")
    axis.set_title(records[0]["title"].partition(", open loop")[0] + ": latency at a fixed rate")
    axis.legend(fontsize=6, handlelength=5, loc="upper left")


def draw_curves(axis: Axes, records: list[Record]) -> None:
    """What grows with a size: a line for each figure."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        point = (record["at"], record["median"])
        curves.setdefault(f"{record['figure']} ({record['who']})", []).append(point)
        if record["against"]:
            point = (record["at"], record["baseline_median"])
            curves.setdefault(f"{record['figure']} ({record['against']})", []).append(point)
    for name, points in curves.items():
        axis.plot(*zip(*sorted(points), strict=True), marker="o", label=name)
    axis.set_xscale("log")
    axis.set_yscale("log")
    # A flat line looks flat.
    least, most = axis.get_ylim()
    if most / least < 10:
        axis.set_ylim(least / 3, most * 3)
    axis.set_xlabel(records[0]["x"])
    axis.set_title(records[0]["title"])
    axis.legend(fontsize=6, loc="upper left")
