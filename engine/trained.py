"""Trained models of any method: from its checkpoint to the network, and from a name to features of pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from engine import catalog
from engine.checkpoint import Checkpoint, read_checkpoint
from engine.data.base import Facts
from engine.extract import embedder
from engine.method import Method
from engine.showcase import folder, ships


def rebuild(checkpoint: Checkpoint, path: Path) -> tuple[Method[Any, Any], nn.Module]:
    """The method of a checkpoint, read from `path`, and its model, in eval mode.

    ValueError when the weights do not fit what the method builds today.
    """
    method = catalog.method(checkpoint.method)
    model = method.build(method.params.make(checkpoint.params), checkpoint.facts)
    try:
        model.load_state_dict(dict(checkpoint.weights))
    except RuntimeError as error:
        cause = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} is of another version of {checkpoint.method} ({cause}); train it anew") from None
    return method, model.eval()


def features_of(name: str, facts: Facts) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """The model behind a name, a method whose demo ships or a checkpoint file, and its features (B, D) of images
    (B, C, H, W) in [0, 1]. ValueError: there is none, it has no features, or it takes other pictures than `facts`.
    """
    path = folder(name) / "checkpoint.safetensors" if ships(name) else Path(name).expanduser()
    if not path.is_file():
        raise ValueError(
            f"features: {name!r} is no method with a trained demo and no checkpoint file; name one, or pixels"
        )
    checkpoint = read_checkpoint(path)
    knows = checkpoint.facts
    if (knows.channels, knows.size) != (facts.channels, facts.size):
        takes, come = (f"{one.channels} x {one.size} x {one.size}" for one in (knows, facts))
        raise ValueError(f"features: {name} takes pictures of {takes} and these are {come}; choose other data or size")
    method, model = rebuild(checkpoint, path)
    return model, embedder(method, model)
