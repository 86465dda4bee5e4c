"""`python -m cidery run`: serves the services of files, and reloads changed ones."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cidery._cli.discovery import (
    ModuleError,
    find_files,
    find_services,
    find_without_handle,
    is_loaded,
    load_modules,
)
from cidery._cli.selection import files_with_services
from cidery._cli.supervisor import ParentProcess, Supervisor
from cidery._errors.exceptions import CideryError, InvalidArgument, NotFound
from cidery._service.definition import Definition
from cidery._worker.stop_signals import STOP_SIGNALS, StopSignals
from cidery._worker.worker import Worker

_log = logging.getLogger("cidery.run")
_POLL_INTERVAL = 0.3


@dataclass(frozen=True)
class RunOptions:
    """The options of the command line."""

    paths: list[str]
    node: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    insecure: bool = False
    name: str = ""
    max_in_flight: int = 100
    drain: float = 30.0
    log_level: str = "info"
    log_format: str = "human"
    reload: bool = False
    exclude: Sequence[str] = ()
    zato: bool = False
    strict: bool = False
    """With `zato`: refuses to serve modules that use what the layer does not support."""
    processes: int = 1
    parent_fd: int | None = None
    """For a worker process of a supervisor: the socket to its parent."""


class Runner:
    """Serves the services of files until it is stopped."""

    def __init__(self, options: RunOptions, parent: ParentProcess | None = None) -> None:
        self._options = options
        self._parent = parent
        numbers = STOP_SIGNALS if parent is None else (signal.SIGTERM,)
        self._signals = StopSignals(_log, self._stop_now, numbers)
        self._worker: Worker | None = None
        self._imported: set[Path] = set()
        # Previous workers, and the threads that stop them.
        self._draining: list[tuple[Worker, threading.Thread]] = []

    def run(self) -> int:
        """Serves until stopped; returns the exit code."""
        with self._signals.handled():
            return self._run()

    def _run(self) -> int:
        if self._options.reload:
            # The cache compares times by whole seconds, and would miss a change within one.
            sys.dont_write_bytecode = True
        if self._options.zato:
            from cidery import zato

            zato.install()
        stamps = self._file_stamps()
        try:
            self._worker = self._start_worker(self._valid_services(), is_first=True)
        except CideryError as error:
            _log.error("%s", error)
            for violation in error.violations:
                _log.error("  %s (%s)", violation, violation.reason)
            return error.kind.exit_code
        if self._signals.wait(0):
            # It was stopped while it waited for its node.
            self._worker.stop(drain=0)
            return 0
        self._log_services("serving")
        if self._parent is not None:
            self._parent.notify_serving()
        while not self._signals.wait(_POLL_INTERVAL if self._options.reload else None):
            found = self._file_stamps()
            if found != stamps:
                stamps = found
                self._reload()
        workers = [self._worker, *(worker for worker, _ in self._draining)]
        self._signals.log_drain(sum(each.in_flight for each in workers), self._options.drain)
        self._worker.stop()
        for _, draining in self._draining:
            draining.join()
        if self._signals.exit_code:
            _exit_now(self._signals.exit_code)
        return 0

    def _stop_now(self) -> None:
        """Handles a second signal."""
        if self._worker is None:
            # It imports files or connects.
            _exit_now(self._signals.exit_code)
            return
        for worker in (self._worker, *(worker for worker, _ in self._draining)):
            worker.stop_now()

    def _services(self) -> Iterator[Any]:
        names: dict[str, Path] = {}
        # All at once: an error must not leave modules unloaded.
        files = self._files()
        named = {path.resolve() for path in map(Path, self._options.paths) if path.is_file()}
        # A file that was imported stays one, also while it is written only in part.
        self._imported |= named | files_with_services(file for file in files if file not in named)
        for file, module in list(load_modules(files, self._imported)):
            if isinstance(module, Exception):
                if self._is_required(file):
                    raise ModuleError(f"`{file}` cannot be imported") from module
                # The others are served.
                _log.error("`%s` cannot be imported", file, exc_info=module)
                continue
            _log_refused(find_without_handle(module))
            for found in find_services(module):
                if found.service_name in names:
                    other = names[found.service_name]
                    _log.warning(
                        "`%s` of %s is not served: %s defines it already",
                        found.service_name,
                        file,
                        other,
                    )
                    continue
                names[found.service_name] = file
                yield found

    def _is_required(self, file: Path) -> bool:
        """Whether nothing is served without a file: it is the only one, or it is served already."""
        is_served = self._worker is not None and is_loaded(file)
        return is_served or [Path(path).resolve() for path in self._options.paths] == [file]

    def _valid_services(self) -> list[Any]:
        """The services with a valid declaration; the errors of the others are logged."""
        valid: list[Any] = []
        refused: list[Exception] = []
        for service in self._services():
            try:
                Definition.of(service).to_proto()
            except Exception as error:
                refused.append(error)
            else:
                valid.append(service)
        if refused and not valid:
            last = refused.pop()
            _log_refused(refused)
            raise last
        _log_refused(refused)
        return valid

    def _start_worker(self, services: list[Any], *, is_first: bool) -> Worker:
        """Starts a worker: at first without the services that the node refuses, later with all."""
        if not services:
            raise NotFound("NO_SERVICES", "no services found in the given paths")
        options = self._options
        worker = Worker(
            *services,
            node=options.node,
            ca=options.ca,
            cert=options.cert,
            key=options.key,
            insecure=options.insecure,
            name=options.name,
            max_in_flight=options.max_in_flight,
            drain=options.drain,
        )
        # The processes of a supervisor are for handlers that burn CPU, or block.
        worker._isolates_by_default = self._parent is not None
        try:
            if is_first:
                # A node that is down at first is waited for, as one that is lost later.
                worker._start_unless_stopped(self._signals)
                return worker
            return worker.start()
        except Exception as error:
            # A worker that was not welcomed in time must not connect later.
            worker.stop(drain=0)
            refused = worker._refused_services(error) if isinstance(error, InvalidArgument) else {}
            if not refused:
                raise
            remaining = [service for service in services if service.service_name not in refused]
            if not is_first or not 0 < len(remaining) < len(services):
                message = "; ".join(refused.values())
                raise InvalidArgument("DECLARATION_INVALID", message) from error
        _log_refused(refused.values())
        return self._start_worker(remaining, is_first=True)

    def _reload(self) -> None:
        """Starts a worker with the current files; the previous one drains."""
        if self._options.zato and _log_unsupported_uses(self._files()) and self._options.strict:
            _log.error("reload failed: `--strict`; still serving the previous version")
            return
        try:
            worker = self._start_worker(list(self._services()), is_first=False)
        except Exception as error:
            # No error in a file may end the running worker: it may be written only in part.
            cause = error.__cause__ if isinstance(error, ModuleError) else None
            still = "still serving the previous version"
            _log.error("reload failed: %s; %s", describe_error(error), still, exc_info=cause)
            return
        previous, self._worker = self._worker, worker
        if previous is not None:
            draining = threading.Thread(target=previous.stop, name="cidery-drain")
            draining.start()
            unfinished = [each for each in self._draining if each[1].is_alive()]
            self._draining = [*unfinished, (previous, draining)]
        self._log_services("reloaded")

    def _log_services(self, what: str) -> None:
        assert self._worker is not None
        names = self._worker.services
        count = "1 service" if len(names) == 1 else f"{len(names)} services"
        _log.info("%s %s at %s: %s", what, count, self._worker.node, ", ".join(names))

    def _files(self) -> list[Path]:
        return find_files(self._options.paths, self._options.exclude)

    def _file_stamps(self) -> dict[Path, tuple[int, int]]:
        stamps = {}
        # Editors replace files, so that a file may be missing for an instant.
        with contextlib.suppress(OSError):
            for file in self._files():
                with contextlib.suppress(OSError):
                    status = file.stat()
                    stamps[file] = (status.st_mtime_ns, status.st_size)
        return stamps


def describe_error(error: Exception) -> str:
    """The message of an error; with its class if it is none that the SDK raises for a user."""
    is_ours = isinstance(
        error, (CideryError, ModuleError, FileNotFoundError, TypeError, ValueError)
    )
    return str(error) if is_ours else f"{type(error).__name__}: {error}"


def _log_refused(refused: Iterable[object]) -> None:
    for each in refused:
        _log.error("not served: %s", each)


def _log_unsupported_uses(files: Iterable[Path]) -> int:
    """Logs what `check` lists of the files; returns the number of lines."""
    from cidery._cli.check import find_uses

    uses, _ = find_uses(files)
    for use in uses:
        _log.warning("%s", use)
    if uses:
        _log.warning("%s; docs/from-zato.md compares the features", _counted(uses))
    return len(uses)


def _counted(uses: Sized) -> str:
    count = len(uses)
    return "1 use differs from Zato" if count == 1 else f"{count} uses differ from Zato"


def run(options: RunOptions) -> int:
    """Serves in this process, or in several."""
    # Once, in the process that the operator starts.
    if options.zato and options.parent_fd is None:
        found = _log_unsupported_uses(find_files(options.paths, options.exclude))
        if found and options.strict:
            _log.error("not serving: `--strict`")
            return 1
    if options.processes > 1:
        return Supervisor(_command(options), options.name, options.processes).run()
    parent = None if options.parent_fd is None else ParentProcess(options.parent_fd)
    if parent is not None:
        # A terminal sends it to all processes, and the supervisor passes it on as SIGTERM. Not
        # `SIG_IGN`, which programs that a handler starts would inherit.
        signal.signal(signal.SIGINT, lambda *_: None)
        parent.watch()
    return Runner(options, parent).run()


def _exit_now(code: int) -> None:
    """Exits without waiting for threads that handlers have started."""
    logging.shutdown()
    os._exit(code)


def _command(options: RunOptions) -> list[str]:
    command = [sys.executable, "-m", "cidery", "run", *options.paths]
    command += ["--max-in-flight", str(options.max_in_flight), "--drain", str(options.drain)]
    command += ["--log-level", options.log_level, "--log-format", options.log_format]
    for name in ("node", "ca", "cert", "key"):
        value = getattr(options, name)
        command += [f"--{name}", value] if value else []
    command += ["--insecure"] if options.insecure else []
    command += [f"--exclude={pattern}" for pattern in options.exclude]
    command += ["--reload"] if options.reload else []
    command += ["--zato"] if options.zato else []
    command += ["--strict"] if options.strict else []
    return command
