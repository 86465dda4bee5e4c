"""The command line of the Python SDK: `python -m cidery run PATH…` serves services."""

from __future__ import annotations

import argparse
import importlib.metadata
import logging
import sys
from collections.abc import Sequence

from cidery._cli.log_format import FORMATS, formatter
from cidery._service.log_context import CidFilter

_DESCRIPTION = """\
Serve services that are written in Python.

This is the command line of the Python SDK. That of the node is the program
`cidery`: `cidery serve` starts a node, `cidery services` lists its services,
`cidery describe` and `cidery invoke` describe and invoke one.
"""
_EXAMPLES = """\
examples:
  python -m cidery run orders.py              serve the services of a file
  python -m cidery run src --reload           serve a folder, and reload changes
  python -m cidery run src --node HOST:24337  serve to a node elsewhere

`python -m cidery COMMAND --help` lists the options of a command.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Parses the arguments and runs the command; returns the exit code."""
    if not (sys.argv[1:] if arguments is None else arguments):
        parser().print_help(sys.stderr)
        return 2
    parsed = parser().parse_args(arguments)
    if parsed.command == "check":
        from cidery._cli.check import check

        return check(parsed.paths)
    from cidery._cli.discovery import ModuleError
    from cidery._cli.run import RunOptions, describe_error, run

    handler = logging.StreamHandler()
    handler.setFormatter(formatter(parsed.log_format))
    handler.addFilter(CidFilter())
    logging.basicConfig(level=parsed.log_level.upper(), handlers=[handler])
    log = logging.getLogger("cidery.run")
    options = vars(parsed)
    del options["command"]
    try:
        return run(RunOptions(**options))
    except ModuleError as error:
        log.error("%s", error, exc_info=error.__cause__)
    except (OSError, ValueError, TypeError, ImportError) as error:
        log.error("%s", describe_error(error))
    return 1


def parser() -> argparse.ArgumentParser:
    """Builds the argument parser."""
    parser = argparse.ArgumentParser(
        prog="python -m cidery",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    # The commands come first in the help.
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True
    )
    options = parser.add_argument_group("options")
    options.add_argument("-h", "--help", action="help", help="show this help")
    options.add_argument("--version", action="version", version=_version(), help="show the version")
    about = "serve the services of Python files and folders"
    run = commands.add_parser(
        "run", help=about, description=f"{about.capitalize()}.", allow_abbrev=False
    )
    run.add_argument("paths", nargs="+", metavar="PATH", help="a file or a folder")
    about = "[https://]HOST[:PORT] (default: CIDERY_NODE, then 127.0.0.1:24337)"
    run.add_argument("--node", help=about)
    ca = "file with the CA certificate of a node at https:// (default: CIDERY_CA)"
    run.add_argument("--ca", metavar="FILE", help=ca)
    cert = "file with a client certificate (default: CIDERY_CERT)"
    run.add_argument("--cert", metavar="FILE", help=cert)
    key = "file with the key of the client certificate (default: CIDERY_KEY)"
    run.add_argument("--key", metavar="FILE", help=key)
    insecure = "send the API key (CIDERY_API_KEY, or the file CIDERY_API_KEY_FILE) in plain text"
    run.add_argument("--insecure", action="store_true", help=insecure)
    run.add_argument("--reload", action="store_true", help="reload files when they change")
    exclude = "leave out files and folders of a folder, such as `scripts` (repeatable)"
    run.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help=exclude)
    run.add_argument("--zato", action="store_true", help="serve modules of Zato unchanged")
    strict = "with --zato: do not serve modules that use what it does not support"
    run.add_argument("--strict", action="store_true", help=strict)
    processes = "number of worker processes (default: %(default)s)"
    run.add_argument("--processes", type=_positive, default=1, metavar="N", help=processes)
    in_flight = "maximum concurrent calls of each worker (default: %(default)s)"
    run.add_argument("--max-in-flight", type=_positive, default=100, metavar="N", help=in_flight)
    run.add_argument("--name", default="", help="name of the worker (default: worker-PID)")
    drain = "time that running calls have to finish on shutdown (default: %(default)s)"
    run.add_argument("--drain", type=float, default=30.0, metavar="SECONDS", help=drain)
    levels = ["debug", "info", "warning", "error"]
    log_level = "minimum level of log messages (default: %(default)s)"
    run.add_argument("--log-level", default="info", choices=levels, help=log_level)
    log_format = "lines for people, or one JSON object a line (default: %(default)s)"
    run.add_argument("--log-format", default=FORMATS[0], choices=FORMATS, help=log_format)
    # Set for the worker processes that `--processes` starts.
    run.add_argument("--parent-fd", type=int, help=argparse.SUPPRESS)
    about = "list what Zato modules use that `run --zato` does not support"
    check = commands.add_parser(
        "check", help=about, description=f"{about.capitalize()}.", allow_abbrev=False
    )
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
