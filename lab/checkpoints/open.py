"""A trained model from whatever names one: a run, its folder, a checkpoint file, a method (its shipped demo)."""

from __future__ import annotations

import argparse
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.showcase import folder as shipped
from engine.showcase import ships
from lab.home import ID
from lab.runs import Run, find

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.checkpoint import Checkpoint
    from engine.data.base import Facts
    from engine.method import Lens

PUBLISHED = ("imagenet:", "timm:")
"""How the names of networks begin that know ImageNet."""
FOREIGN = (".pt", ".pth", ".ckpt", ".bin", ".pkl", ".tar")


@dataclass(frozen=True)
class Opened:
    """A model on the CPU, in eval mode, with all that is known of it.

    id: the method, or the network by its name. lenses: the method's. data: what it learned from; photographs for a
    network that knows ImageNet. step: optimiser steps it was trained for here; 0: elsewhere.
    """

    id: str
    lenses: tuple[Lens, ...]
    data: str
    facts: Facts
    model: nn.Module
    step: int
    path: Path


def open_model(target: str | Path | Run) -> Opened:
    """Open a run (its newest sound checkpoint), a run at one of its steps ("RUN@800"), a run's folder, a checkpoint
    file, a method's shipped demo, or a network that knows ImageNet ("imagenet:lite0", "timm:resnet18").

    ValueError says why something cannot be opened and what to do. Nothing in a file is ever executed.
    """
    from engine.checkpoint import read_checkpoint

    if isinstance(target, Run):
        return _newest(target)
    name, path = str(target), Path(target)
    if name.startswith(PUBLISHED):
        return _published(name)
    if ID.fullmatch(name):
        return _newest(find(name))
    if file := at_step(name):
        return _built(read_checkpoint(file), file)
    if (path / "run.json").is_file():
        return _newest(Run(path.absolute()))
    if ships(name):
        path = shipped(name) / "checkpoint.safetensors"
        if not path.exists():
            raise ValueError(f"no trained {name} ships yet; build it: visionarium assets build {name}")
    elif not path.is_file():
        raise ValueError(f"{name!r} is no run, no checkpoint file and no method; see `visionarium runs list`")
    elif path.suffix in FOREIGN:
        return _foreign(path)
    return _built(read_checkpoint(path), path)


def at_step(target: str) -> Path | None:
    """The file of a run at one of its steps, named as RUN@STEP; None where the target is something else.

    ValueError names the steps that there are.
    """
    id, at, step = target.partition("@")
    if not at or not ID.fullmatch(id):
        return None
    there = find(id).openable()
    if not step.isdecimal() or int(step) not in there:
        steps = ", ".join(map(str, there)) or "no steps yet"
        raise ValueError(f"run {id} cannot be opened at step {step!r}; there are {steps}")
    return there[int(step)]


def _newest(run: Run) -> Opened:
    from engine.checkpoint import CheckpointError, read_checkpoint

    torn = []
    for _, path in reversed(run.checkpoints()):
        try:
            return _built(read_checkpoint(path), path)
        except CheckpointError as error:
            torn.append(str(error))
    raise ValueError("; ".join(torn) or f"run {run.id} has no checkpoint yet; it is {run.state}")


def _built(checkpoint: Checkpoint, path: Path) -> Opened:
    from engine.trained import rebuild

    method, model = rebuild(checkpoint, path)
    data = str(method.params.make(checkpoint.params).data)
    return Opened(checkpoint.method, method.lenses, data, checkpoint.facts, model, checkpoint.step, path)


def _published(name: str) -> Opened:
    """A network that knows ImageNet: "imagenet:lite0", "imagenet:squeezenet", or any of timm's as "timm:NAME"."""
    from engine.data.base import Facts
    from engine.nets.pretrained import LOOKS, imagenet, timm_classifier

    kind, _, net = name.partition(":")
    model = imagenet(net) if kind == "imagenet" else timm_classifier(net)  # type: ignore[arg-type]
    return Opened(name, (), "photos:things", Facts(3, LOOKS, model.classes), model.eval(), 0, Path(name))


def _foreign(path: Path) -> Opened:
    """A file of PyTorch's that is recognised by its weights: a released masked autoencoder, a MoCo v3, or a vision
    transformer as DINO's are released. Nothing in it is executed.

    ValueError tells why another one is not opened, and the way out.
    """
    from engine.nets.moco_vit import is_released
    from engine.nets.released_vit import learned_positions

    found = _tensors(path)
    opener = _moco_v3 if is_released(found) else _transformer if learned_positions(found) else _masked
    return opener(path, found)


def _transformer(path: Path, found: dict[str, Tensor]) -> Opened:
    from engine.data.base import Facts
    from engine.lenses.attention import HEADS
    from engine.nets.released_vit import ReleasedViT

    try:
        model = ReleasedViT.of(found)
    except (ValueError, RuntimeError, KeyError) as error:
        cause = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} cannot be opened as a vision transformer: {cause}") from None
    facts = Facts(model.normalise.mean.numel(), model.size)
    return Opened("representation.dino", (HEADS,), "photos:things", facts, model.eval(), 0, path)


def _masked(path: Path, found: dict[str, Tensor]) -> Opened:
    from engine.data.base import Facts
    from engine.lenses.masked import ATTENTION, HIDE_MORE, RECONSTRUCT
    from engine.nets.masked_vit import MaskedViT

    if "mask_token" not in found and "patch_embed.proj.weight" not in found:
        raise ValueError(
            f"{path} holds {len(found)} tensors, but not which method they belong to or what pictures it takes; lenses "
            "need a checkpoint of a run: train the method here, or write one with engine.checkpoint.write_checkpoint"
        )
    try:
        model = MaskedViT.released(found, norm_pix="visualize" not in path.stem)
    except (ValueError, RuntimeError, KeyError) as error:
        raise ValueError(
            f"{path} cannot be opened as a masked autoencoder: {' '.join(str(error).split())[:200]}"
        ) from None
    lenses = (RECONSTRUCT, HIDE_MORE, ATTENTION)
    facts = Facts(model.normalise.mean.numel(), model.size)
    return Opened("representation.mae", lenses, "photos:things", facts, model.eval(), 0, path)


def _moco_v3(path: Path, found: Mapping[str, Tensor]) -> Opened:
    """A transformer that MoCo v3's authors released, with the lenses that need no set of their own to look at."""
    from engine.lenses.attention import HEADS
    from engine.lenses.features import NEIGHBOURS, PAIRS
    from engine.methods.representation.moco_v3 import MoCoV3

    data = "photos:things"
    try:
        model = MoCoV3.released(found, data)
    except (ValueError, RuntimeError, KeyError) as error:
        raise ValueError(f"{path} cannot be opened as a MoCo v3: {' '.join(str(error).split())[:200]}") from None
    return Opened("representation.moco_v3", (HEADS, NEIGHBOURS, PAIRS), data, model.facts, model.eval(), 0, path)


def _tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a PyTorch file by name, those under "teacher", "model" or "state_dict" where it has such.

    It is read without executing anything in it, also where it holds the options of a command line, as whole trainings
    do; ValueError tells why it cannot be.
    """
    import torch

    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        what = f" ({asked[1]})" if asked else ""
        raise ValueError(
            f"{path} is refused: opening it would execute code that it names{what}. Where you trust it, "
            "load it there and save only its tensors: torch.save(model.state_dict(), FILE)"
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError):
        raise ValueError(
            f"{path} cannot be read as a PyTorch file: it is damaged or something else; copy or download it again"
        ) from None
    for key in ("teacher", "model", "state_dict"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    return {name: value for name, value in found.items() if torch.is_tensor(value)} if isinstance(found, dict) else {}
