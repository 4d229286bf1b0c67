"""What can be said of a run before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from engine.data import FILES, open_data

if TYPE_CHECKING:
    from engine.bench import Setup
    from engine.params import Params

P = TypeVar("P", bound="Params")


def check(params: Params, setup: Setup) -> None:
    """Open the training data, find the device, share the batch out to ranks. ValueError says what cannot be and what to
    do."""
    from engine.bench import find_device
    from engine.data.draws import share_out

    share_out(getattr(params, "batch", setup.ranks), setup.ranks)
    find_device(setup.device, setup.ranks)
    open_data(params.data, "train", getattr(params, "size", None))  # type: ignore[attr-defined]


def rooted(params: P) -> P:
    """The same params, with the path of the data's files from the root: the run may go on from another folder."""
    name, _, path = str(getattr(params, "data", "")).partition(":")
    there = Path(path).expanduser()
    if not path or there.is_absolute() or not there.exists() or name not in {row.spec.split(":")[0] for row in FILES}:
        return params
    return type(params).make(params.model_dump() | {"data": f"{name}:{there.absolute()}"})
