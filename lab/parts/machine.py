"""What this machine has, without torch."""

from __future__ import annotations

import os
from pathlib import Path

NVIDIA = Path("/proc/driver/nvidia/gpus")


def device() -> str:
    """The machine in a sentence: its GPUs, or its processor cores, and its memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    here = f"{len(os.sched_getaffinity(0))} processor cores and {memory} GB of memory"
    names = [line.partition(":")[2].strip() for info in sorted(NVIDIA.glob("*/information"))
             for line in info.read_text(encoding="utf-8").splitlines() if line.startswith("Model")]  # fmt: skip
    if names:
        return f"This machine has {', '.join(names)}, {here}."
    return f"This machine has no NVIDIA GPU; the demos are made for its {here}."
