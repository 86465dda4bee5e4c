"""Replaces the tables of a document. A table stands between `<!-- bench: NAME -->` and `<!-- end -->`; NAME is a row of
the bench, or `machine`, `goals` or `guarantees`. What the run did not measure stays as it is."""

import pathlib
import re
import shutil

import guarantees
import tables

BLOCK = re.compile(r"(<!-- bench: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def write(run: dict, folder: pathlib.Path, document: pathlib.Path) -> list[pathlib.Path]:
    """Writes the document, and the plots beside it; what was written."""
    contents = {
        "machine": tables.table(["", ""], [[name, fact] for name, fact in run["machine"].items()]),
        "goals": tables.goals_table(run["records"]),
        "guarantees": guarantees.table(run["guarantees"]),
    }
    for row in {record["row"] for record in run["records"]}:
        of_row = [record for record in run["records"] if record["row"] == row]
        contents[row] = tables.row_table(of_row)

    def replaced(block: re.Match[str]) -> str:
        content = contents.get(block[2])
        return f"{block[1]}\n{content}\n\n{block[4]}" if content else block[0]

    text = document.read_text(encoding="utf-8")
    document.write_text(BLOCK.sub(replaced, text), encoding="utf-8")
    written = [document]
    for plot in ("bench.svg", "growth.svg"):
        if (folder / plot).exists() and plot in text:
            shutil.copy(folder / plot, document.parent / plot)
            written.append(document.parent / plot)
    return written
