"""`python -m cidery run`: discovery, reload, processes, shutdown."""

from __future__ import annotations

import datetime
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from run_process import Run

from cidery import Client, EventKind, Internal, InvalidArgument, RetryPolicy, State
from cidery.__main__ import main, parser
from cidery._cli.discovery import find_files, module_name
from cidery._cli.run import RunOptions, _command
from cidery._cli.selection import files_with_services
from cidery.testing import Node

WAIT = 20.0

FIRST = """
from cidery import Service, service

class GetVersion(Service):
    def handle(self):
        return {"version": 1}

class Gate(Service):
    name = "gate.pass"
    def handle(self):
        import pathlib, time
        self.emit("begun")
        while not pathlib.Path(self.request.payload.path).exists():
            self.sleep(0.02)
        return {"version": 1}

@service("made.of-function")
def made(request):
    return {"got": request}

class Base(Service):
    pass
"""


def wait_for_response(client: Client, service: str, expected: Any) -> None:
    """Waits for a response of the new worker: until the previous one drains, both get calls."""
    deadline = time.monotonic() + WAIT
    while client.invoke(service) != expected:
        assert time.monotonic() < deadline


def test_services_of_a_file_are_found_and_served(
    node: Node, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "my_module.py").write_text(FIRST)
    run = Run(node.address, tmp_path / "my_module.py", "--name", "of-file")
    line = run.wait_for("serving 3 services")
    assert line.endswith(": gate.pass, made.of-function, my-module.get-version\n")
    assert client.invoke("my-module.get-version") == {"version": 1}
    assert client.invoke("made.of-function", a=1) == {"got": {"a": 1}}
    described = client.describe("my-module.get-version")
    assert [at.worker_name for at in described.locations] == ["of-file"]
    assert run.stop() == 0


def test_a_changed_file_is_reloaded_and_running_calls_finish_with_the_old_code(
    node: Node, client: Client, tmp_path: Path
) -> None:
    module = tmp_path / "my_module.py"
    module.write_text(FIRST)
    run = Run(node.address, tmp_path, "--reload")
    run.wait_for("serving")
    gate = tmp_path / "gate"
    cid = client.invoke_async("gate.pass", path=str(gate))
    events = client.results(cid)
    next(event for event in events if event.kind is EventKind.ITEM)
    module.write_text(FIRST.replace('"version": 1', '"version": 2'))
    run.wait_for("reloaded")
    wait_for_response(client, "my-module.get-version", {"version": 2})
    # An import error is logged, and the served version continues.
    module.write_text("raise ValueError('half written')")
    run.wait_for("ValueError: half written")
    assert sum(": reloaded" in line for line in run.lines) == 1
    assert client.invoke("my-module.get-version") == {"version": 2}
    gate.touch()
    assert client.result(cid, wait=WAIT) == {"version": 1}
    assert client.get(cid).attempt == 1
    assert run.stop() == 0


def test_importers_of_a_changed_file_are_reloaded(
    node: Node, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "a_service.py").write_text(
        "from b_common import VERSION\nfrom cidery import Service\n"
        "class Get(Service):\n    def handle(self):\n        return {'version': VERSION}\n"
    )
    common = tmp_path / "b_common.py"
    common.write_text("VERSION = 1")
    run = Run(node.address, tmp_path, "--reload")
    run.wait_for("serving")
    assert client.invoke("a-service.get") == {"version": 1}
    common.write_text("VERSION = 2")
    run.wait_for("reloaded")
    wait_for_response(client, "a-service.get", {"version": 2})
    assert run.stop() == 0


def put(file: Path, text: str) -> None:
    """Replaces a file atomically."""
    written = file.with_suffix(".new")
    written.write_text(text)
    written.replace(file)


def test_a_failed_reload_keeps_the_served_services(
    node: Node, client: Client, tmp_path: Path
) -> None:
    module = tmp_path / "my_module.py"
    put(module, FIRST)
    run = Run(node.address, module, "--reload")
    run.wait_for("serving")
    gate = tmp_path / "gate"
    cid = client.invoke_async("gate.pass", path=str(gate))
    next(event for event in client.results(cid) if event.kind is EventKind.ITEM)
    put(module, FIRST.replace("GetVersion(Service):", "A(Service):\n    input = 5"))
    line = run.wait_for("reload failed: `my-module.a` (`my_module.A` in ")
    assert line.endswith("; still serving the previous version\n")
    # Some editors replace a file: it is missing for an instant.
    module.rename(tmp_path / "away")
    run.wait_for(f"reload failed: `{module}` does not exist; still serving the previous version")
    assert client.invoke("my-module.get-version") == {"version": 1}
    put(module, FIRST.replace('"version": 1', '"version": 2'))
    run.wait_for("reloaded 3 services")
    # A module that exits does not end the worker.
    put(module, "raise SystemExit(3)")
    run.wait_for("raises SystemExit(3)")
    assert client.invoke("my-module.get-version") == {"version": 2}
    # A declaration that only the node refuses.
    put(module, REFUSED)
    line = run.wait_for("DECLARATION_INVALID: `bad.refused` (`my_module.Refused` in ")
    assert "`/sio/input/a/default`: " in line
    assert client.invoke("my-module.get-version") == {"version": 2}
    # A syntax error is reported by its line of the file, without frames of the SDK.
    put(module, "def half(")
    end = run.lines.index(run.wait_for("SyntaxError: "))
    assert run.lines[end - 3] == f'  File "{module}", line 1\n'
    said = f"reload failed: `{module}` cannot be imported; still serving the previous version\n"
    assert run.lines[end - 4].endswith(said)
    assert sum("reload failed" in line for line in run.lines) == 5
    assert sum(": reloaded" in line for line in run.lines) == 1
    gate.touch()
    assert client.result(cid, wait=WAIT) == {"version": 1}
    assert client.get(cid).attempt == 1
    assert run.stop() == 0


def test_a_broken_file_of_several_fails_the_reload_until_it_is_fixed(
    node: Node, client: Client, tmp_path: Path
) -> None:
    never_imported, served = tmp_path / "a_broken.py", tmp_path / "my_module.py"
    never_imported.write_text("from cidery import Service\nimport what_is_not_there")
    put(served, FIRST)
    (tmp_path / "z_last.py").write_text(FIRST.replace("gate.pass", "z.gate").replace("made.", "z."))
    run = Run(node.address, tmp_path, "--reload")
    run.wait_for("serving 6 services")
    put(served, "raise ValueError('half written')")
    run.wait_for("reload failed: ")
    assert client.invoke("my-module.get-version") == {"version": 1}
    put(served, FIRST.replace('"version": 1', '"version": 2'))
    run.wait_for("reloaded 6 services")
    wait_for_response(client, "my-module.get-version", {"version": 2})
    assert run.stop() == 0


def test_a_signal_drains_the_worker(node: Node, client: Client, tmp_path: Path) -> None:
    (tmp_path / "my_module.py").write_text(FIRST)
    run = Run(node.address, tmp_path)
    run.wait_for("serving")
    gate = tmp_path / "gate"
    cid = client.invoke_async("gate.pass", path=str(gate))
    next(event for event in client.results(cid) if event.kind is EventKind.ITEM)
    run.process.terminate()
    run.wait_for("received SIGTERM")
    gate.touch()
    assert run.end() == 0
    assert client.result(cid, wait=WAIT) == {"version": 1}
    assert client.get(cid).attempt == 1


@pytest.mark.parametrize("processes", ["1", "2"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_stops_at_once(
    number: signal.Signals, processes: str, node: Node, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "my_module.py").write_text(FIRST)
    run = Run(node.address, tmp_path, "--drain", "600", "--processes", processes)
    run.wait_for("serving", times=int(processes))
    cid = client.invoke_async("gate.pass", path=str(tmp_path / "gate"))
    next(event for event in client.results(cid) if event.kind is EventKind.ITEM)
    run.process.send_signal(number)
    run.wait_for("waiting for 1 call, at most 600 s; press Ctrl-C again to stop now")
    run.process.send_signal(number)
    assert run.end() == 128 + number
    run.wait_for(f"received {number.name} again: stopping now")
    # The call was handed back.
    assert client.get(cid).state is State.PENDING
    client.cancel(cid)


def test_a_second_signal_ends_a_worker_that_still_imports(node: Node, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import sys, time\nprint('begun', file=sys.stderr)\n")
    with (tmp_path / "slow.py").open("a") as module:
        module.write("sys.stderr.flush()\nwhile True:\n    time.sleep(0.01)\n")
    run = Run(node.address, tmp_path / "slow.py")
    run.wait_for("begun")
    run.process.send_signal(signal.SIGINT)
    run.wait_for("received SIGINT: stopping")
    run.process.send_signal(signal.SIGINT)
    assert run.end() == 130


def test_several_processes_serve_together(node: Node, client: Client, tmp_path: Path) -> None:
    (tmp_path / "my_module.py").write_text(FIRST)
    run = Run(node.address, tmp_path, "--processes", "2", "--name", "many")
    run.wait_for("serving", times=2)
    described = client.describe("my-module.get-version")
    assert sorted(at.worker_name for at in described.locations) == ["many-1", "many-2"]
    assert run.stop() == 0


def test_a_crashed_worker_process_is_restarted(node: Node, client: Client, tmp_path: Path) -> None:
    (tmp_path / "my_module.py").write_text(FIRST)
    run = Run(node.address, tmp_path, "--processes", "2", "--name", "kept")
    run.wait_for("serving", times=2)
    for count, pause in ((1, "0.5"), (2, "1")):
        os.kill(int(run.wait_for("`kept-2` is process ", times=count).split()[-1]), signal.SIGKILL)
        run.wait_for(f"`kept-2` exited with code -9; restarting in {pause} s")
        run.wait_for("serving", times=2 + count)
    assert client.invoke("my-module.get-version") == {"version": 1}
    described = client.describe("my-module.get-version")
    assert {"kept-1", "kept-2"} <= {at.worker_name for at in described.locations}
    assert run.stop() == 0
    run.wait_for_all()


def test_worker_processes_end_with_their_supervisor(node: Node, tmp_path: Path) -> None:
    (tmp_path / "my_module.py").write_text(FIRST)
    run = Run(node.address, tmp_path, "--processes", "2")
    run.wait_for("serving", times=2)
    run.process.kill()
    run.wait_for_all()
    assert run.end() == -signal.SIGKILL
    assert sum("the supervisor has exited" in line for line in run.lines) == 2


def test_worker_processes_without_services_exit_with_the_reason(node: Node) -> None:
    run = Run(node.address, "/not/there", "--processes", "2")
    assert run.end() == 1
    assert any("`/not/there` does not exist" in line for line in run.lines)
    assert not any("restarting in" in line for line in run.lines)


FAILING = """
from cidery import AsyncService, Service

class Fails(Service):
    name = "run.fails"
    def handle(self):
        raise KeyError("secret detail")

class FailsAsync(AsyncService):
    name = "run.fails-async"
    async def handle(self):
        raise KeyError("secret detail")
"""


@pytest.mark.parametrize("name", ["run.fails", "run.fails-async"])
def test_a_failed_handler_is_logged_with_the_cid_of_its_response(
    name: str, node: Node, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    run = Run(node.address, tmp_path / "failing.py")
    run.wait_for("serving")
    with pytest.raises(Internal) as caught:
        client.invoke(name)
    assert caught.value.reason == "HANDLER_FAILED"
    assert "secret detail" not in str(caught.value)
    line = run.wait_for(f"failed, CID {caught.value.cid}")
    assert line.endswith(f" ERROR cidery.worker: `{name}` failed, CID {caught.value.cid}\n")
    run.wait_for("KeyError: 'secret detail'")
    cid = client.invoke_async(name, {}, retry_policy=RetryPolicy(max_attempts=1))
    assert client.get(cid, wait=20).state is State.FAILED
    (attempt,) = client.explain(cid).message.attempts
    assert run.stop() == 0
    # The traceback follows, down to the line that raised.
    log_lines = run.lines[run.lines.index(line) + 1 :]
    assert log_lines[0] == "Traceback (most recent call last):\n"
    # It begins in the file of the user, also in `explain`.
    begins = f'  File "{tmp_path / "failing.py"}", line '
    assert attempt.trace.splitlines()[1].startswith(begins)
    assert log_lines[1].startswith(begins)
    assert 'raise KeyError("secret detail")' in "".join(log_lines)


def test_log_lines_have_the_time_of_the_node_log(node: Node, tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(FAILING.partition("class FailsAsync")[0])
    run = Run(node.address, tmp_path / "one.py")
    line = run.wait_for(f"serving 1 service at {node.address}: run.fails")
    assert re.match(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO cidery\.run: serving 1 .*\.fails\n", line
    )
    logged = datetime.datetime.fromisoformat(line.partition("Z")[0] + "+00:00")
    assert abs(datetime.datetime.now(datetime.timezone.utc) - logged) < datetime.timedelta(hours=1)
    assert run.stop() == 0


LOGGING = """
import logging
from cidery import Service

class Logs(Service):
    name = "run.logs"
    def handle(self):
        self.logger.info("by the service")
        logging.getLogger("my.own").warning("by a module")
        return {}
"""


def test_the_log_lines_of_a_handler_have_its_cid_and_service(
    node: Node, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "logs.py").write_text(LOGGING)
    run = Run(node.address, tmp_path / "logs.py")
    run.wait_for("serving")
    cid = client.call("run.logs").cid
    line = run.wait_for("by the service")
    assert line.endswith(f"Z INFO run.logs: by the service cid={cid}\n")
    line = run.wait_for("by a module")
    assert line.endswith(f"Z WARNING my.own: by a module cid={cid} service=run.logs\n")
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    client.invoke("run.logs", {}, metadata=trace)
    line = run.wait_for("by a module", times=2)
    assert " trace_id=0af7651916cd43dd8448eb211c80319c span_id=" in line
    assert run.stop() == 0


LOGS_AND_FAILS = """
from cidery import Service

class Fails(Service):
    name = "run.logs-and-fails"
    def handle(self):
        self.logger.info("about to %s", "fail")
        raise ValueError("on two\\nlines")
"""


def test_log_lines_are_json_where_that_is_asked_for(
    node: Node, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "fails.py").write_text(LOGS_AND_FAILS)
    run = Run(node.address, tmp_path / "fails.py", "--log-format", "json")
    run.wait_for("serving")
    with pytest.raises(Internal) as failed:
        client.invoke("run.logs-and-fails")
    line = json.loads(run.wait_for("about to fail"))
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "INFO",
        "message": "about to fail",
        "logger": "run.logs-and-fails",
        "cid": failed.value.cid,
        "service": "run.logs-and-fails",
    }
    line = json.loads(run.wait_for("Traceback"))
    assert (line["level"], line["cid"]) == ("ERROR", failed.value.cid)
    assert line["trace"].endswith("ValueError: on two\nlines")
    assert run.stop() == 0
    assert all(json.loads(line) for line in run.lines)


def test_a_module_that_fails_is_reported_from_its_own_frame(node: Node, tmp_path: Path) -> None:
    module = tmp_path / "broken.py"
    module.write_text("def fail():\n    undefined\nfail()\n")
    run = Run(node.address, module)
    assert run.end() == 1
    line = run.wait_for(f"`{module}` cannot be imported")
    assert run.lines[run.lines.index(line) + 1 :][1] == f'  File "{module}", line 3, in <module>\n'
    run.wait_for("NameError: name 'undefined' is not defined")


@pytest.mark.parametrize(
    ("text", "last_line"),
    [
        ("def half(", 1),
        ("from cidery import service\n@service\nclass F:\n    pass\n", 2),
    ],
)
def test_the_traceback_of_a_module_has_frames_of_the_user_only(
    text: str, last_line: int, node: Node, tmp_path: Path
) -> None:
    module = tmp_path / "broken.py"
    module.write_text(text)
    run = Run(node.address, module)
    assert run.end() == 1
    files = [line for line in run.lines if line.startswith("  File ")]
    assert [line.partition(", in ")[0].strip() for line in files] == [
        f'File "{module}", line {last_line}'
    ]


def test_the_help_names_the_command_line_of_the_node(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert "Serve services that are written in Python." in text.splitlines()[2]
    assert "`cidery serve` starts a node" in text
    assert "python -m cidery run orders.py " in text
    assert text.index("commands:") < text.index("options:")
    # Without arguments it is the same text, and an error.
    monkeypatch.setattr(sys, "argv", ["cidery"])
    assert main() == main([]) == 2
    assert capsys.readouterr().err == 2 * text


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["check", "--help"]])
def test_the_help_fits_a_terminal_of_80_columns(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(arguments)
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


OWN_PROGRAM = """
import sys
import time
from cidery import Worker, service

@service("own.fails")
def fails(request):
    raise KeyError("secret detail")

with Worker(fails, node=sys.argv[1]):
    print("serving", flush=True)
    sys.stdin.read()
"""


def test_a_program_without_a_log_configuration_logs_failures(node: Node, client: Client) -> None:
    command = [sys.executable, "-W", "error", "-c", OWN_PROGRAM, node.address]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        with pytest.raises(Internal) as caught:
            client.invoke("own.fails")
        log_lines = process.communicate(timeout=WAIT)[1]
    assert process.returncode == 0
    assert f"`own.fails` failed, CID {caught.value.cid}\nTraceback" in log_lines
    assert log_lines.endswith("KeyError: 'secret detail'\n")


OWN_WORKER = """
import logging
import sys
from cidery import Worker, service

@service("own.waits")
def waits(ctx):
    logging.info("begun")
    ctx.sleep(600)

logging.basicConfig(level=logging.INFO, format="%(message)s")
Worker(waits, node=sys.argv[1], drain=600).run()
"""


def test_a_program_that_runs_a_worker_ends_at_the_second_signal(node: Node, client: Client) -> None:
    command = [sys.executable, "-W", "error", "-c", OWN_WORKER, node.address]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        while not client.services("own.waits"):
            assert process.poll() is None
        cid = client.invoke_async("own.waits", {})
        for wanted in ("begun", "waiting for 1 call, at most 600 s; press Ctrl-C again"):
            assert any(wanted in line for line in lines)
            process.send_signal(signal.SIGINT)
        assert any("received SIGINT again: stopping now" in line for line in lines)
        assert process.wait(WAIT) == 130
    assert client.get(cid).state is State.PENDING
    client.cancel(cid)


def test_a_broken_module_does_not_affect_the_others(
    node: Node, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "bad_module.py").write_text("from cidery import Service\nimport what_is_not_there")
    (tmp_path / "my_module.py").write_text(FIRST)
    run = Run(node.address, tmp_path)
    run.wait_for("serving 3 services")
    assert any("what_is_not_there" in line for line in run.lines)
    assert run.stop() == 0


REFUSED = """
from cidery import Int, Service

class Refused(Service):
    name = "bad.refused"
    input = Int("a", default="x")
    def handle(self):
        pass
"""
UNREADABLE = """
import dataclasses, datetime
from cidery import Context, Service, service

@dataclasses.dataclass
class Lasts:
    lasts: datetime.timedelta

class Unreadable(Service):
    name = "bad.unreadable"
    input = Lasts
    def handle(self):
        pass

class Hurries(Service):
    name = "bad.hurries"
    timeout = "soon"
    def handle(self):
        pass

class Scalar(Service[int, int]):
    name = "bad.scalar"
    def handle(self, input):
        return input

@service("bad.context")
async def context(ctx: Context):
    pass

@service("good.beside")
def beside(ctx: Context):
    return {"served": True}
"""


def test_an_invalid_declaration_affects_only_its_service(node: Node, tmp_path: Path) -> None:
    (tmp_path / "my_module.py").write_text(FIRST)
    (tmp_path / "refused.py").write_text(REFUSED)
    (tmp_path / "unreadable.py").write_text(UNREADABLE)
    run = Run(node.address, tmp_path)
    run.wait_for("serving 4 services")
    for said, file in (
        (
            "`bad.scalar` (`unreadable.Scalar` in {}): `int` cannot be an input or an output: ",
            "unreadable.py",
        ),
        ("`bad.context` (`unreadable.context` in {}): it is a coroutine", "unreadable.py"),
        ("`bad.refused` (`refused.Refused` in {}): `/sio/input/a/default`: ", "refused.py"),
        ("`bad.unreadable` (`unreadable.Unreadable` in {}): `lasts`: ", "unreadable.py"),
        ("`bad.hurries` (`unreadable.Hurries` in {}): `timeout` is 'soon'", "unreadable.py"),
    ):
        line = run.wait_for(f"not served: {said.format(tmp_path / file)}")
        assert " ERROR " in line
    assert run.stop() == 0


def test_invalid_declarations_are_reported_if_no_service_is_left(
    node: Node, tmp_path: Path
) -> None:
    module = tmp_path / "refused.py"
    module.write_text(REFUSED)
    run = Run(node.address, module)
    assert run.end() == InvalidArgument.kind.exit_code
    assert any(f"`bad.refused` (`refused.Refused` in {module}): " in line for line in run.lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "no services found"),
        ("def", "SyntaxError"),
        (
            "from cidery import Service\nclass A(Service):\n    input = 5\n"
            "    def handle(self):\n        pass\n",
            "ERROR cidery.run: `my-module.a` (`my_module.A` in ",
        ),
    ],
)
def test_nothing_to_serve_exits_with_a_reason(
    text: str, said: str, node: Node, tmp_path: Path
) -> None:
    module = tmp_path / "my_module.py"
    module.write_text(text)
    run = Run(node.address, module)
    assert run.end() != 0
    assert any(said in line for line in run.lines)


def test_a_missing_path_is_reported(node: Node) -> None:
    run = Run(node.address, "/not/there")
    assert run.end() == 1
    assert any("`/not/there` does not exist" in line for line in run.lines)


@pytest.mark.parametrize(
    ("text", "arguments", "code", "said"),
    [
        ("x = 1", [], 1, "NO_SERVICES: no services found in the given paths"),
        ("import what_is_not_there", [], 1, "cannot be imported"),
        (FIRST, ["--ca", "/not/there"], 1, "`ca` is for a node with TLS"),
        (FIRST, ["--processes", "0"], 2, "0 is not at least 1"),
    ],
)
def test_the_exit_code_tells_an_error_to_fix_from_wrong_arguments(
    text: str, arguments: list[str], code: int, said: str, node: Node, tmp_path: Path
) -> None:
    module = tmp_path / "my_module.py"
    module.write_text(text)
    run = Run(node.address, module, *arguments)
    assert run.end() == code
    run.wait_for(said)


def test_a_worker_waits_for_its_node(tmp_path: Path) -> None:
    module = tmp_path / "my_module.py"
    module.write_text(FIRST)
    with Node() as node:
        node.kill()
        run = Run(node.address, module)
        run.wait_for(f"not connected to {node.address}: CONNECT_FAILED: ")
        node.start()
        run.wait_for("serving 3 services")
        assert run.stop() == 0


def test_a_worker_that_waits_for_its_node_can_be_stopped(tmp_path: Path) -> None:
    module = tmp_path / "my_module.py"
    module.write_text(FIRST)
    run = Run("127.0.0.1:9", module)
    run.wait_for("not connected to 127.0.0.1:9: CONNECT_FAILED: ")
    assert run.stop() == 0
    assert not any("serving" in line for line in run.lines)


def test_the_help_names_every_option() -> None:
    command = [sys.executable, "-m", "cidery", "run", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for option in (
        "--node",
        "--reload",
        "--exclude",
        "--zato",
        "--strict",
        "--processes",
        "--max-in-flight",
        "--name",
    ):
        assert option in shown
    defaults = vars(parser().parse_args(["run", "x"]))
    for option in ("processes", "max_in_flight", "drain", "log_level", "log_format"):
        assert f"(default: {defaults[option]})" in " ".join(shown.split())


def test_worker_processes_get_all_options() -> None:
    said = [
        *("run", "a.py", "b", "--node", "127.0.0.1:1", "--reload", "--zato", "--drain", "1.5"),
        *("--max-in-flight", "3", "--log-level", "warning", "--processes", "4", "--name", "n"),
        *("--exclude", "scripts", "--exclude=-x", "--ca", "a", "--cert", "b", "--key", "c"),
        *("--insecure", "--strict", "--log-format", "json"),
    ]
    options = vars(parser().parse_args(said))
    del options["command"]
    asked = RunOptions(**options)
    plain = RunOptions(["a.py", "b"])
    same = [f.name for f in fields(asked) if getattr(asked, f.name) == getattr(plain, f.name)]
    assert same == ["paths", "parent_fd"], "an option that is not said is not tested"
    command = _command(asked)
    assert command[:3] == [sys.executable, "-m", "cidery"]
    handed_on = vars(parser().parse_args(command[3:]))
    # The supervisor sets the names.
    expected = {**options, "processes": 1, "name": ""}
    assert {key: handed_on[key] for key in expected} == expected


def test_modules_have_names_by_their_path(tmp_path: Path) -> None:
    assert module_name(tmp_path / "my_module.py") == "my_module"
    assert module_name(tmp_path / "src" / "crm" / "customer.py") == "crm.customer"
    assert module_name(tmp_path / "src" / "services" / "my_module.py") == "my_module"


def test_hidden_files_are_excluded(tmp_path: Path) -> None:
    for name in ("a.py", ".b.py", "__init__.py", "c.txt"):
        (tmp_path / name).touch()
    assert [file.name for file in find_files([tmp_path, tmp_path / "a.py"])] == ["a.py"]


def test_tests_and_virtual_environments_are_excluded(tmp_path: Path) -> None:
    for name in (
        "a.py",
        "crm/b.py",
        "conftest.py",
        "c_test.py",
        "crm/test_d.py",
        "setup.py",
        "tests/e.py",
        "venv/f.py",
        "lib/site-packages/g.py",
        "crm/own/h.py",
        "crm/own/pyvenv.cfg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_files([tmp_path]) == [tmp_path / "a.py", tmp_path / "crm" / "b.py"]
    # A file that is named explicitly is not excluded.
    tests = tmp_path / "tests"
    assert find_files([tests, tmp_path / "setup.py"]) == [tests / "e.py", tmp_path / "setup.py"]


def test_files_and_folders_are_excluded_by_patterns(tmp_path: Path) -> None:
    for name in ("a.py", "scripts/b.py", "crm/c_old.py", "crm/d.py", "crm/scripts/e.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def found(*exclude: str) -> list[str]:
        return [file.relative_to(tmp_path).as_posix() for file in find_files([tmp_path], exclude)]

    assert found("scripts", "*_old.py") == ["a.py", "crm/d.py"]
    assert found("crm/*") == ["a.py", "scripts/b.py"]
    assert find_files([tmp_path / "a.py"], ["a.py"]) == [tmp_path / "a.py"]


SOURCES = {
    "imports_class.py": ("from cidery import Service\n", True),
    "imports_decorator.py": ("from cidery import service as svc\n", True),
    "imports_all.py": ("from cidery import *\n", True),
    "imports_module.py": ("import cidery as c\nclass A(c.AsyncService[int, int]): ...\n", True),
    "of_worker.py": ("from my import worker\n@worker.service\ndef f(): ...\n", True),
    "of_zato.py": ("from zato.server.service import Service\n", True),
    "base.py": ("from cidery import Service\nclass Base(Service): ...\n", True),
    "derived.py": ("from base import Base as B\nclass Mine(B[int, str]): ...\n", True),
    "derived_twice.py": ("import derived\nclass Last(derived.Mine): ...\n", True),
    "broken.py": ("def half(\n", True),
    "client.py": ("from cidery import Client\nfrom base import Base\nClient().invoke(Base)", False),
    "models.py": ("from dataclasses import dataclass\nclass Model: ...\n", False),
    "script.py": ("raise SystemExit(3)\n", False),
}


def test_only_files_that_declare_services_are_selected(tmp_path: Path) -> None:
    for name, (text, _) in SOURCES.items():
        (tmp_path / name).write_text(text)
    selected = files_with_services(tmp_path / name for name in sorted(SOURCES, reverse=True))
    assert {file.name for file in selected} == {name for name, (_, yes) in SOURCES.items() if yes}


def test_a_script_in_a_folder_does_not_run(node: Node, client: Client, tmp_path: Path) -> None:
    (tmp_path / "my_module.py").write_text("import helper\n" + FIRST)
    (tmp_path / "helper.py").write_text("IMPORTED = True\n")
    (tmp_path / "cli.py").write_text(
        "from cidery import Client\nopen(__file__ + '.ran', 'w').close()\n"
        "Client().invoke('my-module.get-version')\n"
    )
    run = Run(node.address, tmp_path)
    run.wait_for("serving 3 services")
    assert client.invoke("my-module.get-version") == {"version": 1}
    assert run.stop() == 0
    assert not (tmp_path / "cli.py.ran").exists()
    assert not [line for line in run.lines if "ERROR" in line]


def test_options_are_not_abbreviated(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["run", "a.py", "--nod", "x"], ["run", "--rel", "a.py"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    assert "unrecognized arguments: --nod x" in capsys.readouterr().err


def test_a_module_name_gets_a_hint_for_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src" / "acme").mkdir(parents=True)
    (tmp_path / "src" / "acme" / "services.py").touch()
    monkeypatch.chdir(tmp_path)
    for given, hint in (
        ("acme.services", ": give the path of a file or a folder, such as `src/acme/services.py`"),
        ("acme", ": give the path of a file or a folder, such as `src/acme`"),
        ("not.there", ": give the path of a file or a folder"),
        ("not/there.py", ""),
    ):
        with pytest.raises(FileNotFoundError) as caught:
            find_files([given])
        assert str(caught.value) == f"`{given}` does not exist{hint}"


def test_a_project_below_src_imports_itself_by_full_names(
    node: Node, client: Client, tmp_path: Path
) -> None:
    crm = tmp_path / "src" / "crm"
    crm.mkdir(parents=True)
    (crm / "__init__.py").touch()
    (crm / "customer.py").write_text(
        "from crm.models import VERSION\nfrom crm import models\nfrom . import models as beside\n"
        "from cidery import Service\n"
        "class Get(Service):\n    def handle(self):\n"
        "        return {'versions': [VERSION, models.VERSION, beside.VERSION]}\n"
    )
    models = crm / "models.py"
    models.write_text("VERSION = 1")
    run = Run(node.address, tmp_path, "--reload")
    run.wait_for("serving 1 service at")
    assert client.invoke("crm.customer.get") == {"versions": [1, 1, 1]}
    models.write_text("VERSION = 20")
    run.wait_for("reloaded")
    wait_for_response(client, "crm.customer.get", {"versions": [20, 20, 20]})
    assert run.stop() == 0
