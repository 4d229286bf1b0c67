"""What a training needs of a device's memory, and the batch that would fit. Sizes are bytes."""

from __future__ import annotations

import math
import os
import re
import resource
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import nn

SHARE = 0.9
"""Part of the room that is made use of: allocators keep some for themselves, steps differ, and others need some."""

UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class Use(NamedTuple):
    """peak: the most that was in use, or asked for. fixed: what does not grow with the batch. room: what there is. All
    of one process; ranks: how many share each batch evenly.
    """

    peak: int
    fixed: int
    room: int
    ranks: int = 1

    def at(self, batch: int, other: int) -> int:
        """What `other` images a step need, when `batch` need `peak`."""
        return self.fixed + (self.peak - self.fixed) * other // batch


def used_up(error: BaseException, device: str, fixed: int, ranks: int = 1) -> Use:
    """What this process needed when its memory did not suffice, as `error` tells; it is one of `ranks`."""
    return Use(peak(device) + asked(error), fixed, room(device, ranks), ranks)


def batch_that_fits(batch: int, use: Use) -> int:
    """The largest batch whose step fits into SHARE of the room; 0 when not even one image does.

    A step needs `fixed` (weights, gradients, the optimiser's state, on a CPU also the program itself and the data),
    and for each image its activations: each = (peak - fixed) / batch. So b images fit when

        fixed + b * each <= SHARE * room,    b = (SHARE * room - fixed) * batch / (peak - fixed).

    From 16 on it is a multiple of 8, and always one of the ranks that share it. Where the peak shows no growth with the
    batch, nothing is known: `batch` itself.
    """
    if use.peak <= use.fixed:
        return batch
    fits = max(0, int((SHARE * use.room - use.fixed) * batch / (use.peak - use.fixed)))
    even = math.lcm(8, use.ranks) if fits >= math.lcm(16, use.ranks) else use.ranks
    return fits // even * even


def advice(values: Mapping[str, Any], use: Use | None = None) -> tuple[str, dict[str, Any]]:
    """What to do when the memory did not suffice: a sentence, and the knobs to change.

    A step that failed had not asked for all it needs, so its peak is too low; half of its batch is the most that is
    suggested.
    """
    batch = values.get("batch")
    if not isinstance(batch, int) or use is None:
        return "Not enough memory: lower batch or size.", {}
    least = f"Not enough memory: batch {batch} needs more than {megabytes(use.peak)} of {megabytes(use.room)}"
    fits = min(batch_that_fits(batch, use), batch // 2 // use.ranks * use.ranks)
    if not fits:
        return f"{least}, and no smaller one fits: lower size or the network's width.", {}
    needs = megabytes(max(use.at(batch, fits), use.fixed))
    return f"{least}. Batch {fits} needs about {needs}.", {"batch": fits}


def megabytes(size: int) -> str:
    return f"{size >> 20:,} MB"


def used(device: str) -> int:
    """What is in use now: of the GPU by torch on a GPU, of the machine by this process elsewhere."""
    if device == "cuda":
        import torch

        return torch.cuda.memory_allocated()
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return peak(device)
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak(device: str) -> int:
    """The most that was in use so far, counted as `used`."""
    if device == "cuda":
        import torch

        return torch.cuda.max_memory_allocated()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10


def room(device: str, ranks: int = 1) -> int:
    """What this process may have: what is free now, and what it has. On a CPU, `ranks` like it share that."""
    if device == "cuda":
        import torch

        return torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved()
    return (available() + used(device)) // ranks


def stay_inside(device: str, ranks: int = 1) -> None:
    """Let this process take no more than there is room for, so that nobody else is harmed: it fails instead. On a CPU,
    `ranks` like it share that."""
    if device == "cuda":
        import torch

        torch.cuda.set_per_process_memory_fraction(min(1.0, room(device) / torch.cuda.mem_get_info()[1]))
    elif sys.platform.startswith("linux"):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        data = next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmData"))
        most = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (data + int(SHARE * available()) // ranks, most))


def available() -> int:
    """Memory of the machine, of this process's control group, or of its own limits, that is free or can be freed."""
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        free = page * os.sysconf("SC_PHYS_PAGES")
    for folder, most, now in (
        ("/sys/fs/cgroup", "memory.max", "memory.current"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        try:
            limit, taken = (Path(folder, name).read_text(encoding="ascii").strip() for name in (most, now))
        except OSError:
            continue
        if limit.isdigit():
            free = min(free, max(0, int(limit) - int(taken)))
    return min([free, *_left_of_limits()])


def _left_of_limits() -> Iterator[int]:
    """What `ulimit -v` and `ulimit -d` leave to this process, where it has such limits."""
    with suppress(OSError):
        taken = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
        for kind, name in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
            limit, _ = resource.getrlimit(kind)
            if limit != resource.RLIM_INFINITY:
                yield max(0, limit - (int(taken[name].split()[0]) << 10))


def fixed_part(model: nn.Module, device: str) -> int:
    """What the model's training needs whatever the batch, asked once it is built and before it is trained.

    What is in use by now, the weights once more where they are still to be moved to a GPU, and for each weight that is
    trained its gradient and two moments, as Adam has: an optimiser with fewer needs less.
    """
    weights = sum(each.nbytes for each in (*model.parameters(), *model.buffers()))
    trained = sum(each.nbytes for each in model.parameters() if each.requires_grad)
    return used(device) + (weights if device == "cuda" else 0) + 3 * trained


def asked(error: BaseException) -> int:
    """How much more an out-of-memory error says was wanted; 0 when it does not say."""
    found = re.search(r"tried to allocate ([\d.]+) (bytes|[KMG]iB)", str(error), re.IGNORECASE)
    return int(float(found[1]) * UNITS[found[2]]) if found else 0
