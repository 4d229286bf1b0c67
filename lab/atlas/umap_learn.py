"""umap-learn, where it is installed: in a process of its own that stays, since its compilation takes a minute in each.

The process reads questions and writes answers as .npz, each after its length in eight bytes.
"""

from __future__ import annotations

import importlib.util
import io
import select
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

NAME = "umap-learn"
ABSENT = (
    "umap-learn is not installed here; install it with `pip install visionarium[umap]` and restart the lab, or choose "
    "umap, the lab's own, which is held against it in tests"
)
KNOBS: dict[str, Any] = {"n_neighbors": int, "min_dist": float, "metric": str, "epochs": int, "seed": int}
"""Those of the lab's own UMAP that umap-learn has, too."""
_lock = threading.Lock()
_worker: subprocess.Popen[bytes] | None = None


def is_installed() -> bool:
    return importlib.util.find_spec("umap") is not None


def warm_up() -> None:
    """Start the process, so that it compiles while the visitor reads."""
    if is_installed():
        with _lock:
            _process()


def layouts(
    features: np.ndarray, knobs: Mapping[str, str], earlier: np.ndarray | None
) -> Iterator[tuple[int, int, np.ndarray]]:  # fmt: skip
    """(0, 1, the principal plane) again and again while the process is at work, then (1, 1, the map).

    Whoever stops asking ends the process. ValueError: it is not installed, or what it said.
    """
    if not is_installed():
        raise ValueError(ABSENT)
    from engine.ops.plane import plane

    try:
        given = {name: KNOBS[name](value) for name, value in knobs.items() if name in KNOBS}
    except ValueError as error:
        raise ValueError(f"knobs: {error}") from None
    first = plane(features)[0].astype(np.float32) if earlier is None else earlier
    begin = {} if earlier is None else {"init": earlier.astype(np.float32)}
    with _lock:
        process, finished = _process(), False
        try:
            questions, replies = pipes(process)
            send(questions, features=features, **given, **begin)
            while not select.select([replies], [], [], 0.5)[0]:
                yield 0, 1, first
            answer = receive(replies)
            finished = True
        finally:
            if not finished:
                _end()
    if "error" in answer:
        raise ValueError(f"umap-learn: {answer['error']}")
    yield 1, 1, answer["places"]


def _process() -> subprocess.Popen[bytes]:
    """The process, started when there is none that lives."""
    global _worker
    if _worker is None or _worker.poll() is not None:
        command = [sys.executable, "-m", "lab.atlas.umap_worker"]
        _worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return _worker


def pipes(process: Any) -> tuple[Any, Any]:
    """Where questions go, and where answers come from."""
    return process.stdin, process.stdout


def _end() -> None:
    global _worker
    if _worker is not None:
        _worker.kill()
        _worker.wait()
        _worker = None


def send(pipe: Any, **values: Any) -> None:
    """Write named arrays, numbers and words."""
    file = io.BytesIO()
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in values.items()}
    np.savez(file, **arrays)
    pipe.write(len(file.getvalue()).to_bytes(8, "little") + file.getvalue())
    pipe.flush()


def receive(pipe: Any) -> dict[str, Any]:
    """What `send` wrote; ValueError when the other side has ended."""
    head = pipe.read(8)
    if len(head) < 8:
        raise ValueError("the process of umap-learn has ended; ask again, and see the lab's log if it ends again")
    with np.load(io.BytesIO(pipe.read(int.from_bytes(head, "little")))) as found:
        return {name: found[name] if found[name].ndim else found[name].item() for name in found.files}
