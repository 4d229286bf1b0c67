"""Where runs are carried out. Every executor knows four verbs and starts the same supervisor on the same folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import lab
from engine.folder import State, wish
from lab.runs.state import true_state


class Executor(Protocol):
    """Carries out the plan in a run's folder."""

    def submit(self, *folders: Path) -> None:
        """See to it that runs start or go on; they have their places in the line on return. ValueError: some cannot."""

    def stop(self, folder: Path) -> None:
        """See to it that the run saves and ends."""

    def state(self, folder: Path) -> State:
        """How the run really stands."""
        ...

    def tail(self, folder: Path, lines: int) -> list[str]:
        """The last lines of its log."""
        ...


class Local:
    """This machine: a detached supervisor a run. Runs that are submitted together share most of its memory."""

    def submit(self, *folders: Path) -> None:
        command = supervisor_command(*map(str, folders))
        done = subprocess.run(
            command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ValueError(done.stderr.strip() or f"no supervisor started: {' '.join(command)}")

    def stop(self, folder: Path) -> None:
        wish(folder, "cancel")

    def state(self, folder: Path) -> State:
        return true_state(folder)

    def tail(self, folder: Path, lines: int) -> list[str]:
        try:
            with open(folder / "log.txt", "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 1000 * lines))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return []
        return text.splitlines()[-lines:]


def attached(folder: Path) -> subprocess.Popen[bytes]:
    """A supervisor to wait for, on this machine; its stderr says why it refused, when it exits with 2.

    It outlives us all the same, hears no Ctrl-C of our terminal, and keeps no pipe of ours open but that one.
    """
    return subprocess.Popen(
        supervisor_command(str(folder), "--foreground"), env=environment(), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def supervisor_command(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "lab.runs.supervisor", *words]


def environment() -> dict[str, str]:
    """The environment in which a child finds this engine and this lab, whatever its working directory holds."""
    root = str(Path(lab.__file__).resolve().parent.parent)
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return os.environ | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONUNBUFFERED": "1"}
