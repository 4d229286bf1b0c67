"""The bench: what a run stands on. Device, precision, seeds, data by name, loops that stop and resume, the step."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Literal, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from engine import data as sources
from engine.checkpoint import Checkpoint, random_state, set_random_state
from engine.data.base import Batch, Dataset, Facts, Memory, memory
from engine.data.draws import Draws
from engine.folder import Device
from engine.ops import across
from engine.params import Params, knob
from engine.ranks import as_first, compare_weights, joint_statistics, own_chance
from engine.recall import Recall

T = TypeVar("T")
IN_MEMORY = 4 << 30
"""Bytes of images up to which a set is kept in memory, on the device."""


class Setup(Params):
    """How a run is carried out, whatever the method."""

    seed: int = knob(0, "random seed of everything", 0, 2**31 - 1)
    device: Device = knob("auto", "where to compute; auto: a GPU if there is one")
    precision: Literal["auto", "bf16", "fp32"] = knob("auto", "auto: bfloat16 where the GPU has it", fold=True)
    compile: bool = knob(False, "compile the networks (minutes at the start, faster steps after)", fold=True)
    ranks: int = knob(1, "processes that share each batch, one a GPU; 1: no others", 1, 1024, fold=True)
    looks: int = knob(16, "evaluations over each loop", 1, 1000, tiny=2, fold=True)
    workers: int = knob(2, "processes that read images when the set does not fit into memory", 0, 64, fold=True)
    keep_best: str = knob("", "reported number whose best checkpoint is kept, as accuracy or loss:min", fold=True)


class Stateful(Protocol):
    """What a loop can keep: optimisers, schedulers, modules."""

    def state_dict(self) -> Any: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


def find_device(name: str, ranks: int = 1) -> torch.device:
    """The device that `name` means here; ValueError when it is asked for by name and not there.

    Each of several ranks needs a GPU of its own: where there are too few, auto is the CPU. ranks: how many there are
    to be, where they are not yet.
    """
    here = max(ranks, int(os.environ.get("LOCAL_WORLD_SIZE", across.world())))
    alone = max(ranks, across.world()) == 1
    cuda = torch.cuda.is_available() and (alone or torch.cuda.device_count() >= here)
    there = {"cuda": cuda, "mps": alone and torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, present in there.items() if present))
    if not there[name]:
        if not alone:
            raise ValueError(f"device {name!r} is not here for each of {here} ranks; lower ranks, or choose cpu")
        raise ValueError(f"device {name!r} is not on this machine; choose auto or cpu")
    return torch.device(name)


class Bench:
    """Given to every method's `train`. Loops and `once` number themselves in program order, so a run can resume:

    `train` runs again from its top, loops that were finished yield nothing, `once` returns what it returned, and the
    interrupted loop first restores weights, kept state and random states, then goes on.

    Across ranks (see `engine.ops.across`) it gives each its part of every batch and chance of its own in the loops, and
    averages gradients. Batch statistics are of the joint batch on GPUs (SyncBatchNorm); on a CPU each rank has its own,
    and those of rank 0 are kept.
    """

    def __init__(
        self,
        setup: Setup | None = None,
        resume: Checkpoint | None = None,
        sets: dict[tuple[str, str, int | None], Dataset] | None = None,
        recall: Recall | None = None,
    ):
        """sets: opened sources by (spec, split, size); recall: what a model said; for benches that share them."""
        self.recall = recall or Recall()
        self.setup = setup or Setup()
        self.device = find_device(self.setup.device)
        torch.manual_seed(self.setup.seed)
        self.generator = torch.Generator(self.device).manual_seed(self.setup.seed)
        self.done = 0
        """Optimiser steps done over all loops."""
        self.due = False
        """Whether the current step is one at which to evaluate: `looks` times a loop, its last step among them."""
        self._resume = resume
        self._saved: dict[str, Any] | None = resume.state if resume else None
        self._loops, self._onces, self._open = 0, 0, False
        self._part = across.rank(), across.world()
        self._once_results: list[Any] = list(self._saved["once"]) if self._saved else []
        self._at: tuple[int, int] = (-1, 0)
        self._keep: tuple[Stateful, ...] = ()
        self._sets = {} if sets is None else sets
        self._model: nn.Module | None = None
        self._look = False

    # Data

    def data(self, spec: str, split: str = "train", size: int | None = None) -> Dataset:
        """A source by name, opened once; in memory on the device when it fits."""
        key = (spec, split, size)
        if key not in self._sets:
            dataset = sources.open_data(spec, split, size)
            if len(dataset) * dataset.facts.channels * dataset.facts.size**2 <= IN_MEMORY:
                dataset = memory(dataset).place(self.device)
            self._sets[key] = dataset
        return self._sets[key]

    @property
    def opened(self) -> Mapping[tuple[str, str, int | None], Dataset]:
        """The sets that were opened so far, by (spec, split, size)."""
        return self._sets

    def facts(self, params: Params) -> Facts:
        """What the model must know of the data that `params.data` (and `params.size`, if there is one) name."""
        return self.data(params.data, "train", getattr(params, "size", None)).facts  # type: ignore[attr-defined]

    def chunks(self, dataset: Dataset, size: int = 500) -> Iterator[Batch]:
        """All of `dataset` in order, for evaluation."""
        for index in torch.arange(len(dataset)).split(size):
            yield self._ready(dataset.batch(index))

    def _ready(self, batch: Batch) -> Batch:
        batch = batch.to(self.device)
        if self.device.type == "cuda":
            batch = replace(batch, images=batch.images.contiguous(memory_format=torch.channels_last))
        return batch

    # Loops

    def batches(
        self, dataset: Dataset, batch: int, steps: int, keep: Stateful | Sequence[Stateful] = ()
    ) -> Iterator[Batch]:
        """`steps` random batches of exactly `batch` images: shuffled epochs, one after the other without a gap.

        What is drawn is a function of seed, loop and step alone; each of several ranks gets its part. ValueError when
        the set is smaller than a batch, or a batch not the same for every rank.
        """
        loop = self._loops
        draws = Draws(len(dataset), batch, steps, self.setup.seed, loop, *self._part)
        if isinstance(dataset, Memory):
            for step in self.steps(steps, keep):
                yield self._ready(dataset.batch(draws[step]))
            return
        loader: DataLoader = DataLoader(
            draws, batch_size=None, sampler=range(self._start(loop, steps), steps),  # type: ignore[arg-type]
            num_workers=self.setup.workers, collate_fn=dataset.batch, generator=torch.Generator(),  # type: ignore[arg-type]
        )  # fmt: skip
        for _, rows in zip(self.steps(steps, keep), loader, strict=False):
            yield self._ready(rows)

    def steps(self, steps: int, keep: Stateful | Sequence[Stateful] = ()) -> Iterator[int]:
        """0 .. steps-1, one optimiser step each; `keep` is saved and restored with the loop. Loops do not nest."""
        if self._open:
            raise RuntimeError("a loop of the bench is still open; loops follow one another and do not nest")
        loop, self._loops = self._loops, self._loops + 1
        start = self._start(loop, steps)
        if start == steps and self._saved and loop < self._saved["at"][0]:
            return
        self._keep = tuple(keep) if isinstance(keep, Sequence) else (keep,)
        own_chance(self.setup.seed, loop, start, self.generator)  # before its first loop all ranks draw alike
        if self._saved and loop == self._saved["at"][0]:
            self._restore()
        self._open = True
        try:
            before = self.done - start
            for step in self._order(start, steps):
                self._at, self.done = (loop, step + 1), before + step + 1
                self.due = self._look or (step + 1) * self.setup.looks // steps > step * self.setup.looks // steps
                self._look = False
                yield step
        finally:
            self._open = False

    def _order(self, start: int, steps: int) -> Iterable[int]:
        """The steps of a loop that are done. A pre-flight leaves most of them out."""
        return range(start, steps)

    def _start(self, loop: int, steps: int) -> int:
        """The step at which the loop numbered `loop` begins here: later than 0 only in a resumed run."""
        at = self._saved["at"] if self._saved else (-1, 0)
        return steps if loop < at[0] else at[1] if loop == at[0] else 0

    def look(self) -> None:
        """Make the next step one at which to evaluate, because somebody asks to see."""
        self._look = True

    def once(self, work: Callable[[], T]) -> T:
        """Do `work` between loops, once in a run's life: a resumed run gets the kept result (a tree of tensors).

        All ranks do it and get what rank 0 found, since after a loop they no longer draw alike.
        """
        if self._open:
            raise RuntimeError("once stands between loops, not inside one")
        self._onces += 1
        if len(self._once_results) < self._onces:
            self._once_results.append(as_first(work()))
        return self._once_results[self._onces - 1]

    # Resume

    def attach(self, model: nn.Module) -> None:
        """Place the model on the device (and compile its networks), with the checkpoint's weights when resuming.

        All ranks begin with what rank 0 has.
        """
        self._model = model.to(self.device)
        if self.device.type == "cuda":
            for tensor in itertools.chain(model.parameters(), model.buffers()):
                if tensor.ndim == 4:  # the order of channels is that of pictures; films and stacked networks have none
                    tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
        if across.world() > 1 and self.device.type == "cuda":
            joint_statistics(model)
        if self.setup.compile:
            for child in model.children():
                child.compile()
        if self._resume:
            model.load_state_dict(dict(self._resume.weights))
        across.copy_(itertools.chain(model.parameters(), model.buffers()))

    def state(self) -> dict[str, Any]:
        """Everything but the weights that a later bench needs to go on from the last report.

        Across ranks all must ask at the same report. RuntimeError when their weights differ.
        """
        chances: dict[str, Any] = {"generator": self.generator.get_state(), "random": random_state()}
        if across.world() > 1:
            compare_weights(self._model.parameters() if self._model else ())
            chances["ranks"] = across.collect(dict(chances))
        return {
            "at": self._at,
            "done": self.done,
            "once": self._once_results[: self._onces],
            "keep": [kept.state_dict() for kept in self._keep],
            **chances,
        }

    def _restore(self) -> None:
        saved, model, resume = self._saved, self._model, self._resume
        if saved is None or model is None or resume is None:
            raise RuntimeError("attach a model before its loops run")
        if len(saved["keep"]) != len(self._keep):
            raise RuntimeError(f"the checkpoint kept {len(saved['keep'])} things for this loop, not {len(self._keep)}")
        model.load_state_dict(dict(resume.weights))
        for kept, state in zip(self._keep, saved["keep"], strict=True):
            kept.load_state_dict(state)
        others = saved.get("ranks", [])
        if across.rank() == 0 or len(others) == across.world():
            chances = others[across.rank()] if across.rank() else saved
            self.generator.set_state(chances["generator"])
            set_random_state(chances["random"])
        self.done, self._at = saved["done"], tuple(saved["at"])

    # Computing

    def autocast(self) -> AbstractContextManager:
        """The precision under which a method's code runs."""
        wanted = self.setup.precision
        if wanted == "auto":
            able = self.device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
            wanted = "bf16" if able else "fp32"
        return torch.autocast(self.device.type, torch.bfloat16) if wanted == "bf16" else nullcontext()

    def step(
        self, optimizer: torch.optim.Optimizer, loss: Tensor, *, clip: float = 0.0,
        schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
    ) -> None:  # fmt: skip
        """One optimiser step on `loss` (a scalar). clip: largest norm of the gradient, 0 for none.

        Across ranks, `loss` is the mean over this one's rows: the gradient becomes the mean of theirs, then is clipped.
        """
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, enabled=False):
            loss.backward()
        parameters = [weight for group in optimizer.param_groups for weight in group["params"]]
        across.mean_(weight.grad for weight in parameters if weight.grad is not None)
        if clip:
            nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.step()
        if schedule is not None:
            schedule.step()
