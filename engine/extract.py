"""Features of a whole set through a trained network: a chunk at a time, kept for the next who asks (see `Features`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from engine.data.base import Batch, Dataset, Facts
from engine.data.fingerprint import fingerprint
from engine.data.subset import part
from engine.features import LIMIT, Features, keep_features, read_features
from engine.lenses.classifier import as_classifier
from engine.nets.classifier import Classifier
from engine.nets.pretrained import ImageNetClassifier
from engine.probe import thumbnails, undisturbed

if TYPE_CHECKING:
    from engine.bench import Bench
    from engine.method import Method

FORMAT = 2
"""To be raised when the same network and data give other files."""
THUMBNAIL, CHUNK = 48, 100
"""Height and width of a thumbnail, at most; images that are embedded at once."""


def embedder(method: Method[Any, Any] | None, model: nn.Module) -> Callable[[Tensor], Tensor]:
    """Images (B, C, H, W) in [0, 1] -> features (B, D): the method's `embed`, else a classifier's backbone."""
    if method is not None and method.embed is not None:
        embed = method.embed
        return lambda images: embed(model, images)
    if isinstance(model, Classifier):
        return model.backbone
    if isinstance(model, ImageNetClassifier):
        return lambda images: before_logits(model, images)
    raise ValueError("this method does not say how it embeds pictures, so there are no features; choose another one")


def before_logits(model: ImageNetClassifier, images: Tensor) -> Tensor:
    """Features (B, D) of images (B, 3, H, W) in [0, 1]: what the last layer reads; of SqueezeNet, whose last layer is a
    convolution, the mean over the picture of what that reads."""
    net: Any = model.net
    pixels = model.normalise(images)
    if hasattr(net, "forward_head"):
        return net.forward_head(net.forward_features(pixels), pre_logits=True)
    return net.features(pixels).mean(dim=(2, 3))


def drawn(dataset: Dataset, count: int) -> tuple[Dataset, Tensor]:
    """`count` images of a set, drawn at random but always the same, in their order, and their positions (count,); the
    whole set when it has no more. Not at even distances: labels may come in turns."""
    if count >= len(dataset):
        return dataset, torch.arange(len(dataset))
    positions = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))[:count].sort().values
    return part(dataset, positions), positions


def key_of(
    method: str, params: Mapping[str, Any], model: nn.Module, dataset: Dataset, spec: str, bench: Bench,
    knows: Facts | None = None,
) -> str:  # fmt: skip
    """32 hex digits that change with the weights, the knobs, the data, how they are prepared, or the precision.

    method: "<wing>.<name>"; params: plain knob values; spec: how the set is called, as in `Bench.data`. knows: see
    `extract`.
    """
    told = {
        "format": FORMAT, "method": method, "params": dict(params), "data": fingerprint(dataset, spec),
        "facts": vars(dataset.facts), "knows": vars(knows or dataset.facts), "thumbnail": THUMBNAIL,
        "precision": bench.setup.precision, "device": bench.device.type,
    }  # fmt: skip
    whole = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    for name, value in sorted(model.state_dict().items()):
        plain = value.detach().cpu().contiguous()
        whole.update(repr((name, tuple(plain.shape), str(plain.dtype))).encode())
        whole.update(plain.flatten().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()[:32]


def extract(
    folder: Path, key: str, method: Method[Any, Any] | None, model: nn.Module, dataset: Dataset, bench: Bench,
    limit: int = LIMIT, knows: Facts | None = None,
) -> Generator[tuple[int, int], None, Features]:  # fmt: skip
    """(done, total) after each chunk; the generator's value is the features, read from `folder` when they are there.

    key: see `key_of`. knows: what the model learned, whose classes it answers with; None: the same as `dataset`. The
    model, on the bench's device, is asked in eval mode and left as it was. Whoever stops asking leaves nothing behind.
    """
    kept = read_features(folder, key)
    if kept is not None:
        yield len(kept), len(kept)
        return kept
    if not len(dataset):
        raise ValueError("the set has no pictures; choose another split or source")
    embed, chunks, done = embedder(method, model), [], 0
    knows = knows or dataset.facts
    logits: Callable[[Tensor, Tensor], Tensor] | None = None
    for batch in bench.chunks(dataset, CHUNK):
        with undisturbed(model), bench.autocast():
            if not done:
                logits = _logits(model, embed, batch, knows)
            chunks.append(_chunk(batch, embed, logits))
        done += len(batch)
        yield done, len(dataset)
    joined = {name: torch.cat([chunk[name] for chunk in chunks]).numpy() for name in chunks[0]}
    answers = tuple(knows.classes) if logits else ()
    found = Features(classes=tuple(dataset.facts.classes), answers=answers, **joined)
    try:
        keep_features(folder, key, found, {"images": len(found)}, limit)
    except (OSError, ValueError) as error:
        print(f"the features are not kept: {error}", flush=True)
    return found


def _chunk(
    batch: Batch, embed: Callable[[Tensor], Tensor], logits: Callable[[Tensor, Tensor], Tensor] | None
) -> dict[str, Tensor]:  # fmt: skip
    """The fields of `Features` for some images, on the CPU."""
    features = embed(batch.images).flatten(1)
    unknown = torch.full((len(batch),), -1)
    found = {
        "features": features.float().cpu(),
        "labels": unknown if batch.labels is None else batch.labels.cpu(),
        "thumbnails": thumbnails((batch.images * 255).round().byte(), THUMBNAIL),
    }
    if logits is not None:
        probabilities = logits(batch.images, features).float().softmax(dim=1).cpu()
        confidence, predictions = probabilities.max(dim=1)
        entropy = torch.special.entr(probabilities).sum(dim=1)
        found |= {"predictions": predictions, "confidence": confidence, "entropy": entropy}
    return found


def _logits(
    model: nn.Module, embed: Callable[[Tensor], Tensor], batch: Batch, facts: Facts
) -> Callable[[Tensor, Tensor], Tensor] | None:  # fmt: skip
    """Images and their features -> logits (B, classes); None where the network does not classify.

    A `Classifier` whose features are its backbone's needs no second pass: its head reads them.
    """
    if as_classifier(model, facts) is None:
        return None
    images = batch.images[:2]
    if isinstance(model, Classifier) and torch.equal(embed(images), model.backbone(images)):
        return lambda _, features: model.head(features)
    return lambda images, _: model(images)
