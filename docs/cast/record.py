"""Records a terminal session: runs the commands of a file in a shell, and writes what it prints as an asciicast (v2).

scripts/cast calls it. The session is real: a shell in a pseudo-terminal, a running node, the output as it comes. Only
the typing is added: commands appear character by character.

    record.py COMMANDS CAST
"""

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

COLUMNS, ROWS = 88, 24
# What the shell prints before it reads a command. No output of a command has it.
PROMPT = "\x1b[1;34m$\x1b[0m "
KEY_SECONDS = 0.035
BEFORE_COMMAND_SECONDS = 0.7
AFTER_COMMAND_SECONDS = 1.6
# A command that has not ended by then has failed.
TIMEOUT_SECONDS = 60.0


class Session:
    """A shell in a pseudo-terminal, and the events of its recording."""

    def __init__(self) -> None:
        self.events: list[tuple[float, str]] = []
        # Seconds that were added for typing: the recording is that much longer than the session.
        self.added = 0.0
        self.started = time.monotonic()
        self.terminal, inner = pty.openpty()
        environment = {
            **os.environ,
            "PS1": PROMPT,
            "TERM": "xterm-256color",
            "COLUMNS": str(COLUMNS),
            "LINES": str(ROWS),
        }
        subprocess.run(["stty", "-echo", "cols", str(COLUMNS), "rows", str(ROWS)], stdin=inner, check=True)
        self.shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "--noediting", "-i"],
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=environment,
            start_new_session=True,
        )
        os.close(inner)
        self.read_until_prompt()

    def now(self) -> float:
        return time.monotonic() - self.started + self.added

    def read_until_prompt(self) -> None:
        """Records what is printed, until the shell waits for the next command."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        text = ""
        while not text.endswith(PROMPT):
            ready, _, _ = select.select([self.terminal], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise SystemExit(f"record.py: no prompt after {TIMEOUT_SECONDS:.0f} s:\n{text}")
            part = os.read(self.terminal, 65536).decode()
            text += part
            self.events.append((self.now(), part))

    def run(self, command: str) -> None:
        self.added += BEFORE_COMMAND_SECONDS
        for character in command:
            self.added += KEY_SECONDS
            self.events.append((self.now(), character))
        self.events.append((self.now(), "\r\n"))
        os.write(self.terminal, f"{command}\n".encode())
        self.read_until_prompt()
        self.added += AFTER_COMMAND_SECONDS

    def close(self) -> None:
        self.events.append((self.now(), ""))
        os.write(self.terminal, b"exit\n")
        self.shell.wait(TIMEOUT_SECONDS)
        os.close(self.terminal)


def main(commands: str, cast: str) -> None:
    session = Session()
    for command in Path(commands).read_text().splitlines():
        session.run(command)
    session.close()
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": "Cidery: a tour"}
    lines = [json.dumps(header)]
    lines += [json.dumps([round(at, 3), "o", text]) for at, text in session.events]
    Path(cast).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
