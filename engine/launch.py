"""Several ranks on one machine: start them, let them find each other, and see that they end together.

Each rank is `python -m engine --resume FOLDER` with the environment that torchrun gives too (RANK, LOCAL_RANK,
WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT), so that under torchrun the same command works without us:
torchrun --nproc-per-node N -m engine METHOD --out FOLDER. Rank 0 holds the run's lock and keeps its books.

fault.json   what the first rank that failed told of it: the others fail for want of that one
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from engine.folder import EXIT, State, granted, read_state, wishes, write_state
from engine.lock import RUN, Lock, end_with_parent

GRACE = 5.0
"""Seconds that the other ranks have to end by themselves once one has died."""
POLL = 0.05
ENDINGS = (EXIT["done"], EXIT["paused"], EXIT["cancelled"])
HINT = "Resume goes on from its last checkpoint; if it was out of memory, lower the batch first."


def rank_and_ranks() -> tuple[int, int]:
    """Which of how many this process is."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


@contextmanager
def joined() -> Iterator[None]:
    """This process as the rank that its environment says; by itself where that says nothing.

    GPUs talk by nccl where each rank on this machine has one; numbers on the CPU by gloo.
    """
    if rank_and_ranks()[1] == 1:
        yield
        return
    import torch
    import torch.distributed as dist

    place, here = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    gpus = torch.cuda.is_available() and torch.cuda.device_count() >= here
    if gpus:
        torch.cuda.set_device(place)
    elif torch.cuda.is_available() and rank_and_ranks()[0] == 0:
        print(f"{here} ranks have {torch.cuda.device_count()} GPUs: unless told otherwise they compute on the CPU")
    dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo")
    yield  # nothing is torn down: the process ends, and after a failure that would wait for the others


def launch(folder: Path, ranks: int) -> State:
    """Carry out the plan in `folder` by so many processes. Returns how it ended, which is then in state.json.

    SIGTERM is handed to rank 0, which tells the others after its step; a terminal's Ctrl-C reaches it by itself. One
    that comes before the first step ends all. ValueError when another process is at it.
    """
    with Lock(folder / "live.lock", RUN):
        (folder / "fault.json").unlink(missing_ok=True)
    processes: list[subprocess.Popen[bytes]] = []
    asked = False

    def hand_on(number: int, _frame: object) -> None:
        nonlocal asked
        if number == signal.SIGTERM:
            asked = True
            for process in processes[:1]:
                with suppress(ProcessLookupError):
                    process.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        processes += start(folder, ranks)
        if asked:  # while they were being started
            hand_on(signal.SIGTERM, None)
        dead = attend(processes, lambda: 0.0 if asked and obeyed(processes[0]) else GRACE)
    finally:
        for number, action in before.items():
            signal.signal(number, action)
    if asked and obeyed(processes[0]):
        wished = wishes(folder)
        write_state(folder, "paused" if "pause" in wished and "cancel" not in wished else "cancelled")
        granted(folder, "cancel")
        granted(folder, "pause")
    elif dead is not None and processes[0].returncode not in ENDINGS:
        code = processes[dead].returncode
        ended = {"cause": f"rank {dead} of {ranks} {how_ended(code)}, so all have ended", "hint": HINT, "instead": {}}
        write_state(folder, "failed", **(ended if code < 0 else fault(folder) or ended))
    (folder / "fault.json").unlink(missing_ok=True)
    told = read_state(folder).get("state")
    return told if told in EXIT else "failed"


def start(folder: Path, ranks: int) -> list[subprocess.Popen[bytes]]:
    """The processes, on a free port. They stay in this session, so that whoever ends it ends them; should this process
    be killed they are, too, lest one of them tell that the run was cancelled."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {
        "WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    common["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", str(threads_each(ranks)))
    return [
        subprocess.Popen(
            [sys.executable, "-m", "engine", "--resume", str(folder)], stdin=subprocess.DEVNULL,
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            preexec_fn=partial(end_with_parent, signal.SIGKILL),
        )
        for rank in range(ranks)
    ]  # fmt: skip


def threads_each(ranks: int) -> int:
    """Threads of each of so many ranks, so that they do not crowd each other off the cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // ranks)


def obeyed(process: subprocess.Popen[bytes]) -> bool:
    """Whether SIGTERM has ended it, as before the first step: later it hears it, saves, and ends by itself."""
    return process.poll() == -signal.SIGTERM


def attend(processes: list[subprocess.Popen[bytes]], grace: Callable[[], float] = lambda: GRACE) -> int | None:
    """Wait for the end of all. Returns the first rank that died, None when all ended by themselves.

    Once one is dead, the others have `grace` seconds to say why they end, too; most often they wait for it in vain.
    """
    dead, since = None, 0.0
    while any(process.poll() is None for process in processes):
        if dead is None:
            dead, since = first_dead(processes), time.monotonic()
        elif time.monotonic() - since > grace():
            for process in processes:
                process.kill()
        time.sleep(POLL)
    return first_dead(processes) if dead is None else dead


def first_dead(processes: list[subprocess.Popen[bytes]]) -> int | None:
    """A rank that ended otherwise than a run ends; one that was killed before one that failed for want of it."""
    codes = {rank: code for rank, process in enumerate(processes) if (code := process.poll()) is not None}
    killed = [rank for rank, code in codes.items() if code < 0]
    failed = [rank for rank, code in codes.items() if code not in ENDINGS]
    return next(iter(killed + failed), None)


def how_ended(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def first_to_fail(folder: Path, told: Mapping[str, Any], rank: int, ranks: int) -> Mapping[str, Any]:
    """`told` (cause, hint, instead), or what another rank told before: what fails later fails for want of that one."""
    if ranks == 1:
        return told
    if rank:
        told = {**told, "cause": f"rank {rank} of {ranks}: {told['cause']}"}
    fresh = folder / f".fault-{rank}"
    fresh.write_text(json.dumps(told), encoding="utf-8")
    with suppress(FileExistsError):
        os.link(fresh, folder / "fault.json")  # whole or not at all, and never over another's
    fresh.unlink()
    return fault(folder) or told


def fault(folder: Path) -> dict[str, Any]:
    try:
        return json.loads((folder / "fault.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
