"""The command line of the Python SDK: `python -m cidery run PATH…` serves services."""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import sys
import time
from collections.abc import Sequence

from cidery._service.log_context import CidFilter

_DESCRIPTION = """\
The command line of the Python SDK: serves services that are written in Python.

It is not the command line of the node, which is the program `cidery`:
`cidery serve` starts a node, `cidery services` and `cidery invoke` list and
invoke its services.
"""
_FORMAT = "%(asctime)s %(levelname)s %(invocation)s%(name)s: %(message)s"


class UtcFormatter(logging.Formatter):
    """Formats times like the log of a node: `2026-11-29T20:52:41.123Z`."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


def main(arguments: Sequence[str] | None = None) -> int:
    """Parses the arguments and runs the command; returns the exit code."""
    parsed = parser().parse_args(arguments)
    if parsed.command == "check":
        from cidery._cli.check import check

        return check(parsed.paths)
    from cidery._cli.discovery import ModuleError
    from cidery._cli.run import RunOptions, run

    handler = logging.StreamHandler()
    handler.setFormatter(UtcFormatter(_FORMAT))
    handler.addFilter(CidFilter())
    logging.basicConfig(level=parsed.log_level.upper(), handlers=[handler])
    options = vars(parsed)
    del options["command"]
    try:
        return run(RunOptions(**options))
    except ModuleError as error:
        logging.getLogger("cidery.run").error("%s", error, exc_info=error.__cause__)
        return 1
    except (
        FileNotFoundError,
        ValueError,
        TypeError,
        ImportError,
        SyntaxError,
        TimeoutError,
    ) as error:
        logging.getLogger("cidery.run").error("%s: %s", type(error).__name__, error)
        return 1


def parser() -> argparse.ArgumentParser:
    """Builds the argument parser."""
    parser = argparse.ArgumentParser(
        prog="python -m cidery",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True
    )
    about = "serve the services of files and folders"
    run = commands.add_parser("run", help=about, description=f"{about.capitalize()}.")
    run.add_argument("paths", nargs="+", metavar="PATH", help="a file or a folder")
    run.add_argument("--node", help="HOST[:PORT] (default: CIDERY_NODE, then 127.0.0.1:24337)")
    run.add_argument("--reload", action="store_true", help="reload files when they change")
    run.add_argument("--zato", action="store_true", help="serve modules of Zato unchanged")
    processes = "number of worker processes (default: %(default)s)"
    run.add_argument("--processes", type=_positive, default=1, metavar="N", help=processes)
    in_flight = "maximum concurrent calls of each worker (default: %(default)s)"
    run.add_argument("--max-in-flight", type=_positive, default=100, metavar="N", help=in_flight)
    run.add_argument("--name", default="", help="name of the worker, for people")
    drain = "time that running calls have to finish on shutdown (default: %(default)s)"
    run.add_argument("--drain", type=float, default=30.0, metavar="SECONDS", help=drain)
    levels = ["debug", "info", "warning", "error"]
    log_level = "minimum level of log messages (default: %(default)s)"
    run.add_argument("--log-level", default="info", choices=levels, help=log_level)
    # Set for the worker processes that `--processes` starts.
    run.add_argument("--parent-fd", type=int, help=argparse.SUPPRESS)
    about = "list what modules of Zato use that `run --zato` does not support"
    check = commands.add_parser("check", help=about, description=f"{about.capitalize()}.")
    check.add_argument("paths", nargs="+", metavar="PATH", help="a file or a folder")
    return parser


def _version() -> str:
    try:
        version = importlib.metadata.version("cidery")
    except importlib.metadata.PackageNotFoundError:
        # It runs from a folder with its sources.
        version = "(not installed)"
    return f"cidery {version} (Python SDK)"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
