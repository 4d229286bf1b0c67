"""python -m lab.runs.supervisor RUN_DIR... [--foreground]

Cares for one run from the waiting line to its end, and is nobody's child: a closed page, a killed app, an ended session
do not reach it. It holds the run's lock, waits for a slot, starts `python -m engine --resume RUN_DIR` in a session of
its own with the output in log.txt, sees that wishes are granted, and writes how the run ended when the run could not.

Without --foreground it returns once the run has its place in the line (0) or its lock is refused (2); with it, when the
run has ended, with the engine's exit code. Several runs each get their own supervisor, forked from one: they share what
they have loaded, so that hundreds may wait.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.folder import EXIT, Plan, State, free_reserve, granted, read_state, wish, wishes, write_state
from engine.lock import SUPERVISOR, Lock, end_with_parent, holder
from engine.memory import Use, advice, available
from lab.runs.executors import environment
from lab.runs.line import Slot, Waiter
from lab.runs.state import ENDED, KILL_AFTER, TERM_AFTER

POLL = 0.1
"""Seconds between two looks."""


def main(arguments: Sequence[str]) -> int:
    folders = [Path(name).absolute() for name in arguments if name != "--foreground"]
    code = 0
    for folder in folders:
        try:
            Plan.read(folder)
            code = max(code, foreground(folder) if "--foreground" in arguments else detach(folder))
        except (ValueError, OSError) as error:
            print(error, file=sys.stderr)
            code = 2
    return code


def foreground(folder: Path) -> int:
    """Supervise in this process."""
    with Lock(folder / "live.lock", SUPERVISOR):
        return EXIT[supervise(folder)]


def detach(folder: Path) -> int:
    """Supervise in a grandchild that belongs to no session of ours; wait until it has its place in the line."""
    answer, tell = os.pipe()
    gc.freeze()  # the collector leaves the shared pages alone
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os._exit(_detached(folder, tell))
    os.close(tell)
    os.waitpid(child, 0)
    with os.fdopen(answer, "rb") as said:
        joined = said.read(1) == b"1"
    if not joined:
        pid = holder(folder / "live.lock")
        raise ValueError(f"{folder.name} is already cared for by process {pid}" if pid else last_line(folder))
    return 0


def _detached(folder: Path, tell: int) -> int:
    """What the grandchild does: its exit code is for nobody, so all that it has to say goes to the log."""

    def joined() -> None:
        os.write(tell, b"1")
        os.close(tell)

    try:
        log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for stream, target in ((0, os.open(os.devnull, os.O_RDONLY)), (1, log), (2, log)):
            os.dup2(target, stream)
        lock = Lock(folder / "live.lock", SUPERVISOR)
        return EXIT[supervise(folder, joined)] if lock.take() else 2
    except (ValueError, OSError) as error:
        print(f"{folder} cannot be cared for: {error}", file=sys.stderr)
        return 2
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        sys.stderr.flush()


def supervise(folder: Path, joined: Callable[[], None] = lambda: None) -> State:
    """Carry out the run; the caller holds its lock. Returns how it ended, which is then in state.json.

    joined: called once the run has its place in the line.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: wish(folder, "cancel"))
    fresh = not read_state(folder)
    write_state(folder, "queued", cause=None, hint=None, instead=None)
    waiter = Waiter(folder, Plan.read(folder), fresh)
    joined()
    slot = _wait_in_line(folder, waiter)
    if slot is None:
        ended = _wished(folder) or "cancelled"
        write_state(folder, ended)
    else:
        write_state(folder, "starting")
        kills = out_of_memory_kills()
        child = _start(folder, slot)
        sent = _attend(folder, child)
        ended = _conclude(folder, child.returncode, sent, out_of_memory_kills() > kills)
        slot.release()
    granted(folder, "cancel")
    granted(folder, "pause")
    free_reserve(folder)
    return ended


def _wait_in_line(folder: Path, waiter: Waiter) -> Slot | None:
    """The slot; None when a wish ended the waiting."""
    while not _wished(folder):
        if slot := waiter.slot():
            return slot
        time.sleep(waiter.pace)
    waiter.leave()
    return None


def _wished(folder: Path) -> State | None:
    """The ending that is wished."""
    asked = wishes(folder)
    return "cancelled" if "cancel" in asked else "paused" if "pause" in asked else None


def _start(folder: Path, slot: Slot) -> subprocess.Popen[bytes]:
    import subprocess  # not while it waits: of those there are many

    with open(folder / "log.txt", "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "engine", "--resume", str(folder)],
            env=environment() | slot.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True, preexec_fn=end_with_parent,
        )  # fmt: skip


def _attend(folder: Path, child: subprocess.Popen[bytes]) -> str:
    """Wait for the child's end; a wish that is not granted is enforced. Returns the last signal that was sent.

    What the child leaves behind (its loader's processes, when it was killed) ends with it.
    """
    sent, since = "", None
    while child.poll() is None:
        if _wished(folder):
            now = time.monotonic()
            since = since or now
            nothing_to_save = read_state(folder).get("state") == "starting"
            if not sent and (nothing_to_save or now - since > TERM_AFTER):
                child.terminate()
                sent = "SIGTERM"
            if now - since > KILL_AFTER:
                os.killpg(child.pid, signal.SIGKILL)
                sent = "SIGKILL"
        else:
            since = None
        time.sleep(POLL)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    return sent


def _conclude(folder: Path, code: int, sent: str, memory: bool) -> State:
    """How it ended: as the run told, or else as its exit shows."""
    last = read_state(folder)
    told = last.get("state")
    if told in ENDED:
        return told
    if ended := _wished(folder):
        late = f"it did not answer and was ended by SIGKILL after {KILL_AFTER:.0f} s; its last checkpoint is whole"
        write_state(folder, ended, cause=late if sent == "SIGKILL" else None)
        return ended
    instead: dict[str, Any] = {}
    if code == -signal.SIGKILL and memory:
        plan, use = Plan.read(folder), None
        if "peak_mb" in last:
            ranks = plan.setup.get("ranks", 1)
            use = Use(last["peak_mb"] << 20, last["fixed_mb"] << 20, available() // ranks, ranks)
        cause, (hint, instead) = "killed: out of memory", advice(plan.values, use)
    elif code < 0:
        cause, hint = f"killed by {signal.Signals(-code).name}", "Resume goes on from its last checkpoint."
    else:
        cause, hint = last_line(folder) or f"ended with code {code}", ""
    write_state(folder, "failed", cause=cause, hint=hint, instead=instead)
    return "failed"


def last_line(folder: Path) -> str:
    """The last line of the log, where Python puts the error."""
    try:
        lines = (folder / "log.txt").read_bytes()[-4000:].decode(errors="replace").split("\n")
    except FileNotFoundError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def out_of_memory_kills() -> int:
    """How often the kernel has killed for want of memory, in this control group and on this machine."""
    total = 0
    groups = [Path("/sys/fs/cgroup/memory.events")]
    try:
        own = Path("/proc/self/cgroup").read_text(encoding="utf-8").strip().rpartition(":")[2]
        groups.append(Path(f"/sys/fs/cgroup{own}/memory.events"))
    except OSError:
        return 0
    for path in (*groups, Path("/proc/vmstat")):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.split()[0] in ("oom_kill", "oom_group_kill"))
    return total


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)
