"""Trained models of any method: from its checkpoint to the network, and from a name to features of pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine import catalog
from engine.checkpoint import Checkpoint, read_checkpoint
from engine.data.base import Facts
from engine.extract import embedder
from engine.method import Method
from engine.nets.classifier import Backbone
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


def features_of(
    name: str, facts: Facts, asked: str = "features", instead: str = "pixels"
) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """The model behind a name, a method whose demo ships or a checkpoint file, and its features (B, D) of images
    (B, C, H, W) in [0, 1]. ValueError: there is none, it has no features, or it takes other pictures than `facts`.

    asked: the knob with the name; instead: what can be chosen that is no network.
    """
    path = folder(name) / "checkpoint.safetensors" if ships(name) else Path(name).expanduser()
    if not path.is_file():
        raise ValueError(
            f"{asked}: {name!r} is no method with a trained demo and no checkpoint file; name one, or {instead}"
        )
    checkpoint = read_checkpoint(path)
    knows = checkpoint.facts
    if (knows.channels, knows.size) != (facts.channels, facts.size):
        takes, come = (f"{one.channels} x {one.size} x {one.size}" for one in (knows, facts))
        raise ValueError(f"{asked}: {name} takes pictures of {takes} and these are {come}; choose other data or size")
    method, model = rebuild(checkpoint, path)
    return model, embedder(method, model)


@torch.no_grad()
def backbone_and_head(name: str, facts: Facts) -> tuple[Backbone, nn.Module]:
    """The backbone that a trained network's features come from, and the head upon it, as the knob "start" names it.

    ValueError as for `features_of`, or when its features do not come from a `Backbone`, as a transformer's.
    """
    model, features = features_of(name, facts, "start", "random")
    picture = torch.linspace(0, 1, facts.channels * facts.size**2).view(1, facts.channels, facts.size, facts.size)
    wanted = features(picture)
    for part in model.modules():
        body, head = getattr(part, "backbone", None), getattr(part, "head", None)
        if isinstance(body, Backbone) and isinstance(head, nn.Module) and torch.equal(body(picture), wanted):
            return body, head
    raise ValueError(
        f"start: the features of {name} do not come from a backbone that could be tuned here; "
        "begin as representation.simclr, moco, swav or relic, or at random"
    )
