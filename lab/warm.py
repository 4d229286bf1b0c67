"""Torch and trained models, made ready in the background so that no page waits for them."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import streamlit as st

from engine import catalog
from engine.method import Exhibit
from engine.showcase import folder, revive, ships
from lab.checkpoints.open import at_step
from lab.home import ID
from lab.looking import Looker
from lab.runs import find

_pool = ThreadPoolExecutor(1, "warm")
_jobs: dict[tuple[str, str], Future[None]] = {}
_works: OrderedDict[Hashable, Future[Any]] = OrderedDict()
KEPT = 64
T = TypeVar("T")


@cache
def begin(delay: float = 1.5) -> None:
    """Import torch and the methods once, in a thread, after `delay` seconds: the first page is on its way by then."""
    timer = threading.Timer(delay, _importing)
    timer.daemon = True
    timer.start()


@cache
def _importing() -> Future[None]:
    return _pool.submit(_import)


def _import() -> None:
    """Everything heavy in one thread: torchvision's modules need one another and do not bear two at a time."""
    import timm  # noqa: F401
    import torchvision  # noqa: F401

    for id in catalog.ids():
        with suppress(ImportError, AttributeError, SyntaxError):  # its own page tells what is wrong with it
            catalog.method(id)


def is_warm() -> bool:
    """Whether torch and the methods are imported; asking begins it. Nothing may use torch here before."""
    return _importing().done()


def wait() -> None:
    """Wait, in a thread of no page, until torch and the methods are imported."""
    _importing().result()


def ready(target: str) -> Looker | None:
    """The opened model of a run, a checkpoint file or a method; None while it is being opened in the background.

    ValueError when it cannot be opened.
    """
    if not is_warm():
        return None
    key = (target, stamp(target))
    job = _jobs.get(key)
    if job is None:
        job = _jobs[key] = _pool.submit(_open, *key)
    if not job.done():
        return None
    if job.exception() is not None:
        _jobs.pop(key, None)
        job.result()
    return looker(*key)


def work(key: Hashable, do: Callable[[], T]) -> T | None:
    """What `do` gives, worked out once for a key in the background; None until then. An error is raised, once.

    The answers to the last `KEPT` keys are kept.
    """
    if not is_warm():
        return None
    job = _works.get(key)
    if job is None:
        job = _works[key] = _pool.submit(do)
        while len(_works) > KEPT:
            _works.popitem(last=False)
    if not job.done():
        return None
    if job.exception() is not None:
        _works.pop(key, None)
    return job.result()


def exhibits(id: str) -> tuple[Exhibit, ...]:
    """A method's exhibits: its own once it is imported, before that those that ship with its demo (none: empty).

    None of a method that is not installed here.
    """
    try:
        catalog.card(id)
    except ValueError:
        return ()
    if is_warm():
        return catalog.method(id).exhibits
    try:
        told = (folder(id) / "training" / "exhibits.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    return revive(json.loads(told))


def stamp(target: str) -> str:
    """Changes when there is another file to open under the same name."""
    if ID.fullmatch(target):
        kept = find(target).checkpoints()
        return str(kept[-1][0]) if kept else ""
    if file := at_step(target):
        return str(file.stat().st_mtime_ns)
    path = folder(target) / "checkpoint.safetensors" if ships(target) else Path(target)
    return str(path.stat().st_mtime_ns) if path.exists() else ""


def _open(target: str, stamp: str) -> None:
    looker(target, stamp)


def _release(gone: Looker) -> None:
    """Give the device's memory back when a model leaves the cache."""
    import torch

    gone.model.cpu()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@st.cache_resource(max_entries=3, on_release=_release, show_spinner=False)
def looker(target: str, stamp: str) -> Looker:
    """The opened model; three are kept. stamp: see `stamp`."""
    from lab.checkpoints import open_model

    return Looker(open_model(target))
