"""Tables in Markdown of records: the lines of JSON of the bench (`benches/invoke/record.rs`)."""

from typing import Any

Record = dict[str, Any]


def number(value: float | None) -> str:
    """Three digits, or all before the point in groups of three."""
    if value is None:
        return ""
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def goal(record: Record) -> str:
    match record["goal"]:
        case {"at_least": least}:
            return f"≥ {least:g}"
        case {"at_most": most}:
            return f"≤ {most:g}"
    return ""


def measured(record: Record) -> float:
    """What the goal is of: the ratio, or the figure itself where nothing is compared."""
    return record["median"] if record["ratio"] is None else record["ratio"]


def share_of_goal(record: Record) -> float:
    """At least 1 if the goal is met."""
    match record["goal"]:
        case {"at_least": least}:
            return measured(record) / least
        case {"at_most": most}:
            return most / measured(record)
    raise ValueError("the record has no goal")


def table(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def at(record: Record) -> str:
    """Where a record is on its curve: `64 callers`."""
    unit = record["x"].removesuffix("s") if record["at"] == 1 else record["x"]
    return f"{record['at']:g} {unit}"


def goals_table(records: list[Record]) -> str:
    """All figures that have a goal."""
    lines = []
    for record in records:
        if record["goal"]:
            is_ratio = record["ratio"] is not None
            lines.append(
                [
                    record["title"],
                    at(record),
                    record["figure"].removesuffix(", goal") + (f" beside {record['against']}" if is_ratio else ""),
                    ratio(record["ratio"]) if is_ratio else number(record["median"]),
                    goal(record),
                    "met" if share_of_goal(record) >= 1 else "missed",
                ]
            )
    return table(["what", "at", "figure", "measured", "goal", ""], lines)


def row_table(records: list[Record]) -> str:
    """The records of one row: one line for each number of callers, if they are rates that are compared."""
    if any(record["figure"].endswith("per second") and record["against"] for record in records):
        return comparison_table(records)
    lines = [
        [
            at(record),
            record["figure"],
            number(record["median"]),
            f"{number(record['baseline_median'])} ({record['against']})" if record["against"] else "",
            ratio(record["ratio"]),
            goal(record),
        ]
        for record in records
        if not record["figure"].endswith(", goal")
    ]
    return table(["at", "figure", "cidery", "baseline", "ratio", "goal"], lines)


def comparison_table(records: list[Record]) -> str:
    lines = []
    rates = [record for record in records if record["figure"].endswith("per second")]
    for rate in rates:
        beside = {
            other["figure"]: other
            for other in records
            if (other["at"], other["against"]) == (rate["at"], rate["against"])
        }
        cpu = next((other for name, other in beside.items() if "CPU" in name), None)
        p99 = beside.get("p99, us")
        lines.append(
            [
                number(rate["at"]),
                rate["against"],
                number(rate["median"]),
                number(rate["baseline_median"]),
                ratio(rate["ratio"]),
                goal(rate),
                f"{number(cpu['median'])}; {ratio(cpu['ratio'])} {goal(cpu)}".strip() if cpu else "",
                f"{number(p99['median'])}; {ratio(p99['ratio'])} {goal(p99)}".strip() if p99 else "",
            ]
        )
    first = rates[0]
    head = [
        first["x"],
        "beside",
        first["figure"],
        "of that",
        "ratio",
        "goal",
        "server CPU, µs; ratio",
        "p99, µs; ratio",
    ]
    return table(head, lines)
