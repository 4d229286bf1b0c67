"""Why a training ended, in one line; what to do about it; and which knobs to change in a clone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.data import FILES
from engine.data.paths import nearest
from engine.memory import Use, advice

if TYPE_CHECKING:
    from torch import nn

OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")
SHAPES = re.compile(
    r"size mismatch|shapes cannot be multiplied|must match|is invalid for input|expected input|Given groups=|"
    r"Sizes of tensors|to have \d+ channels|smaller than kernel|Kernel size can't be greater"
)


class Told(NamedTuple):
    """cause: one line. hint: what to do, "" where the cause says it. instead: knob -> value that may cure it."""

    cause: str
    hint: str
    instead: Mapping[str, Any]


def explain(error: BaseException, values: Mapping[str, Any] | None = None, use: Use | None = None) -> Told:
    """What to say of an error that ended a run. values: the run's knobs. use: its memory, where that was measured."""
    values = values or {}
    plain = (str(error).splitlines() or [""])[0][:300]
    cause = f"{type(error).__name__}: {plain}"
    if is_out_of_memory(error):
        return Told(cause, *advice(values, use))
    if isinstance(error, OSError) and error.errno == 28:
        return Told(cause, "The disk is full: free some space, then resume. The last checkpoint is whole.", {})
    if isinstance(error, FloatingPointError):
        place = "".join(f"{note} " for note in getattr(error, "__notes__", ()))
        lower = {"lr": a_third(values["lr"])} if values.get("lr") else {}
        return Told(plain, f"{place}Lower the learning rate.", lower)
    if is_of_shapes(error):
        return Told(cause, "Shapes do not agree: the size, channels or classes of the data do not fit the knobs.", {})
    if isinstance(error, (ValueError, FileNotFoundError, ImportError)):
        return Told(plain, *missing_data(str(values.get("data", ""))))
    return Told(cause, "This is a fault in the method; the log's end shows where.", {})


def is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in OUT_OF_MEMORY)


def is_of_shapes(error: BaseException) -> bool:
    return isinstance(error, RuntimeError) and bool(SHAPES.search(str(error)))


def a_third(value: float) -> float:
    """A third, with one digit: 0.03 -> 0.01."""
    return float(f"{value / 3:.0e}")


def missing_data(spec: str) -> tuple[str, dict[str, Any]]:
    """When the files that `spec` names are not there: which path, and what to write instead. ("", {}) when they are."""
    name, _, path = spec.partition(":")
    if not path or name not in {row.spec.partition(":")[0] for row in FILES} or Path(path).expanduser().exists():
        return "", {}
    if (near := nearest(Path(path).expanduser())) is None:
        return f"Put the files back to {path}, or choose other data.", {}
    return f"{path} is missing; {near} is there: write data {name}:{near}.", {"data": f"{name}:{near}"}


@contextmanager
def naming_what_broke(model: nn.Module) -> Iterator[None]:
    """A FloatingPointError out of here bears a note that names what is not finite in `model`."""
    try:
        yield
    except FloatingPointError as error:
        if place := not_finite(model):
            error.add_note(place)
        raise


def not_finite(model: nn.Module) -> str:
    """Where a model has broken: its first weight in module order that is not finite, else its first such gradient.

    "" when all are finite. Once a loss is not finite, a step spreads it over all weights before it: then only a replay
    (see `engine.replay`) can tell where it began.
    """
    slopes = [(name, each.grad) for name, each in model.named_parameters() if each.grad is not None]
    for what, broken, among in (
        ("weights", broken_weights(model), len(list(model.parameters()))),
        ("gradients", [name for name, slope in slopes if not slope.isfinite().all()], len(slopes)),
    ):
        if broken:
            spread = "all" if len(broken) == among else str(len(broken))
            return f"The first {what} that are not finite: {broken[0]} ({spread} of {among} are not)."
    return ""


def broken_weights(model: nn.Module) -> list[str]:
    """The names of the weights that are not finite, in the order of modules."""
    return [name for name, weight in model.named_parameters() if not weight.detach().isfinite().all()]
