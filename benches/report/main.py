"""Makes one JSON file, the plots and the tables of docs/benchmarks.md from what the bench `invoke` recorded."""

import argparse
import json
import pathlib

import document
import guarantees
import machine
import plot
import tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=pathlib.Path, help="lines of JSON, of one run")
    parser.add_argument("--command", default="", help="the command that made the run")
    parser.add_argument("--load-before", default="", help="the load average when the run began")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for bench.json and the plots")
    parser.add_argument("--docs", type=pathlib.Path, help="the document whose tables are replaced")
    arguments = parser.parse_args()
    file = arguments.out / "bench.json"
    if arguments.records:
        lines = arguments.records.read_text(encoding="utf-8").splitlines()
        run = {
            "machine": machine.facts(arguments.command, arguments.load_before),
            "guarantees": guarantees.SYSTEMS,
            "records": [json.loads(line) for line in lines],
        }
        file.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    run = json.loads(file.read_text(encoding="utf-8"))
    written = [file, *plot.draw(run["records"], arguments.out)]
    if arguments.docs:
        written += document.write(run, arguments.out, arguments.docs)
    else:
        print("\nGoals\n")
        print(tables.goals_table(run["records"]))
        print("\nWhat each system guarantees\n")
        print(guarantees.table(run["guarantees"]))
    for path in written:
        print(f"written: {path}")


if __name__ == "__main__":
    main()
