"""Works that take turns, so that a slow moment of the machine hits all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

import torch


def in_turns(
    works: Mapping[str, Callable[[], object]], rounds: int, device: torch.device, *, seldom: Collection[str] = ()
) -> dict[str, float]:
    """Milliseconds of each work, the median of its rounds, after one to warm up. `seldom` sit out three of four."""
    if rounds < 1:
        raise ValueError(f"rounds: expected 1 or more, got {rounds}")
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds):
        for name, work in works.items():
            if name not in seldom or turn % 4 == 0:
                times[name].append(milliseconds(work, device))
    return {name: statistics.median(each) for name, each in times.items()}


def milliseconds(work: Callable[[], object], device: torch.device) -> float:
    """Of the processor for a CPU, whatever else runs there; of the wall clock for a GPU, until it is done."""
    if device.type == "cpu":
        start = time.process_time()
        work()
        return 1000 * (time.process_time() - start)
    torch.accelerator.synchronize(device)
    start = time.perf_counter()
    work()
    torch.accelerator.synchronize(device)
    return 1000 * (time.perf_counter() - start)


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of torch on the CPU; afterwards as many as before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def named(device: torch.device) -> str:
    """The device as one would say it."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}, one thread"
