"""How fast learning without labels is, beside lightly: the same weights, pictures, precision and threads.

python -m engine.timings.representation
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from engine.bench import Bench, Setup
from engine.timings.peers import Pair, Size, contrast, lightly, mae_step, simclr_steps, swav_steps
from engine.timings.turns import in_turns, named, one_thread

ON_CPU = (Size("small", 28, 64, 16), Size("resnet18", 64, 8, 32))
ON_GPU = (Size("resnet50", 224, 256, 96),)
TINY = {"size": 32, "patch": 4, "batch": 32}
BASE = {
    "size": 224, "patch": 16, "batch": 256, "width": 768, "depth": 12, "heads": 12, "decoder_width": 512,
    "decoder_depth": 8, "decoder_heads": 16,
}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Milliseconds of each, the median of the rounds."""

    what: str
    batch: int
    device: str
    ours: float
    peer: float

    @property
    def ratio(self) -> float:
        """How many times as fast as lightly we are."""
        return self.peer / self.ours


def table(batch: int | None = None, device: str | None = None, rounds: int | None = None) -> list[Row]:
    """Time the steps that a CPU can do in a minute, or those of the papers' sizes on a GPU. Both take turns.

    device: None takes a GPU when there is one, where precision is bfloat16. batch: None is each row's own; rounds: None
    is 20 on a GPU, 7 on a CPU. ValueError when lightly is not installed.
    """
    if batch is not None and batch < 2:
        raise ValueError(f"batch: expected 2 or more, got {batch}")
    lightly()
    bench = Bench(Setup.make({"device": device or "auto"}))
    rounds = rounds if rounds is not None else 7 if bench.device.type == "cpu" else 20
    with one_thread():
        return [row(pair, bench.device, rounds) for pair in pairs(bench, batch)]


def pairs(bench: Bench, batch: int | None = None) -> Iterator[Pair]:
    """What is timed here, one after the other: a pair that was timed may be forgotten before the next is made."""
    on_gpu = bench.device.type != "cpu"
    yield contrast(batch or (4096 if on_gpu else 512), 128, bench.device)
    sizes = [replace(how, batch=batch or how.batch) for how in (ON_GPU if on_gpu else ON_CPU)]
    for how in sizes:
        yield from simclr_steps(how, bench)
    for how in sizes:
        yield from swav_steps(how, bench)
    knobs = (BASE if on_gpu else TINY) | ({"batch": batch} if batch else {})
    what = "MAE, ViT-B/16, 224 px: step" if on_gpu else "MAE, 3 blocks of 64, 32 px: step"
    yield mae_step(knobs, bench, what)
    if on_gpu:
        yield mae_step(knobs, bench, f"{what}, compiled", compiled=True)


def row(pair: Pair, device: torch.device, rounds: int) -> Row:
    took = in_turns({"ours": pair.ours, "peer": pair.peer}, rounds, device)
    return Row(pair.what, pair.batch, named(device), took["ours"], took["peer"])


def show(rows: Sequence[Row]) -> str:
    """The rows as a text table."""
    width = max(len(row.what) for row in rows)
    lines = [f"{'':{width}} {'batch':>5} {'ours':>12} {'lightly':>12} {'ratio':>6}   on {rows[0].device}"]
    lines += [
        f"{row.what:{width}} {row.batch:5} {row.ours:9.1f} ms {row.peer:9.1f} ms {row.ratio:5.2f}x" for row in rows
    ]
    lines.append("Views are made here of a batch at once, by lightly of one picture at a time, both by one process;")
    lines.append("views of one size go through the network together here, by lightly's examples one after the other.")
    if rows[0].device.startswith("cpu"):
        lines.append("On a CPU, so in small: a GPU has the sizes of the papers, and other ratios.")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(show(table()) + "\n")
