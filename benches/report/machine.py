"""What a run was made on, and with which versions."""

import datetime
import os
import platform
import re
import subprocess


def facts(command: str, load_before: str) -> dict[str, str]:
    """Facts by name, for people."""
    with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:
        model = re.search(r"model name\s*:\s*(.*)", cpuinfo.read())
    with open("/proc/meminfo", encoding="utf-8") as meminfo:
        memory = int(meminfo.read().split()[1])
    found = {
        "command": f"`{command.strip()}`",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "CPU": f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores",
        "memory": f"{memory / 1024 / 1024:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "load average before, after": f"{load_before or '?'}, {os.getloadavg()[0]:.2f}",
        "cidery": first_line("git", "describe", "--always", "--dirty"),
        "rustc": first_line("rustc", "--version"),
    }
    for name, variable in (("Restate", "CIDERY_RESTATE"), ("NATS", "CIDERY_NATS")):
        if program := os.environ.get(variable):
            found[name] = first_line(program, "--version")
    return found


def first_line(*command: str) -> str:
    """The first line that a command prints."""
    output = subprocess.run(command, check=False, capture_output=True, text=True).stdout
    return output.partition("\n")[0].strip()
