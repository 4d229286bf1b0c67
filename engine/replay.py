"""Where a training broke: its last steps done again from the checkpoint before, with every layer watched."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from engine.bench import Bench, Setup
from engine.explain import broken_weights
from engine.method import Method, drive
from engine.record import bad_loss

if TYPE_CHECKING:
    from engine.checkpoint import Checkpoint
    from engine.params import Params

LIMIT = 60.0
"""Seconds after which a replay is given up."""


def origin(
    method: Method[Any, Any], params: Params, setup: Setup, resume: Checkpoint | None, step: int, limit: float = LIMIT
) -> str:
    """What was the first to be no longer finite in a training whose loss or weights were not at `step`, in a sentence.

    The training goes on from `resume` (from its start without one) up to `step`; the last two steps are watched, since
    a step that breaks the weights shows in the next one's loss. "" when all is finite this time (on a GPU a step does
    not repeat to the bit) or the limit, in seconds, does not suffice.
    """
    end = time.monotonic() + limit
    bench = Bench(setup.model_copy(update={"compile": False}), resume)
    model = method.build(params, bench.facts(params))
    found: list[str] = []

    def note(what: str) -> None:
        if not found:
            found.append(f"In step {bench.done} {what}.")

    with watched(model, lambda: bench.done >= step - 1, note):
        for report in drive(method, model, params, bench):
            if not found and bench.done >= step - 1:
                if broken := broken_weights(model):
                    note(f"the optimiser made {broken[0]} not finite; outputs and gradients before it were finite")
                elif bad_loss(bench.done, report):
                    note("the loss itself broke: every layer's output before it was finite")
            if found or bench.done >= step or time.monotonic() > end:
                break
    return found[0] if found else ""


@contextmanager
def watched(model: nn.Module, wanted: Callable[[], bool], note: Callable[[str], None]) -> Iterator[None]:
    """Have each layer's output and each weight's gradient looked at as they come, while `wanted()`.

    What is not finite is told to `note` in the order of computing: forward from the input on, backward from the loss.
    """
    handles = []

    def look(name: str) -> Callable[..., None]:
        def after(module: nn.Module, inputs: Any, output: Any) -> None:
            if not wanted() or finite(output):
                return
            if not finite(inputs):
                note(f"what goes into {name} was the first that is not finite: it arose before this layer, outside any")
            elif broken := broken_weights(module):
                note(f"{name} gave the first output that is not finite, since its {broken[0]} is not")
            else:
                note(f"{name} gave the first output that is not finite, of inputs up to {largest(inputs):.3g}")

        return after

    def slope(name: str) -> Callable[[Tensor], None]:
        def after(weight: Tensor) -> None:
            if wanted() and not finite(weight.grad):
                note(f"the gradient of {name} was the first that is not finite; the loss was")

        return after

    for name, module in model.named_modules():
        handles.append(module.register_forward_hook(look(name or "the model")))
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            handles.append(weight.register_post_accumulate_grad_hook(slope(name)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def tensors(tree: Any) -> Iterator[Tensor]:
    """The floating-point tensors in nested tuples, lists and dicts."""
    if isinstance(tree, Tensor):
        if tree.is_floating_point():
            yield tree
    elif isinstance(tree, (tuple, list)):
        for each in tree:
            yield from tensors(each)
    elif isinstance(tree, dict):
        yield from tensors(list(tree.values()))


def finite(tree: Any) -> bool:
    return all(bool(torch.isfinite(each.detach()).all()) for each in tensors(tree))


def largest(tree: Any) -> float:
    """The largest magnitude in it; 0 when there is nothing."""
    return max((float(each.detach().abs().max()) for each in tensors(tree) if each.numel()), default=0.0)
