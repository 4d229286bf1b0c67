"""One decision for each image of a batch, without a loop over images and without making the host wait.

Decisions are drawn on the host, wherever the images are. So the host knows which images take which way, and each
function is given its own images only; a GPU is never asked how many there are of each, for which it would first have to
finish all work under way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def host_generator(generator: torch.Generator) -> torch.Generator:
    """The generator itself if it is on the CPU; else one on the CPU that follows from its state, which moves on."""
    if generator.device.type == "cpu":
        return generator
    # A GPU's generator keeps its state (seed and number of draws) on the host: reading it waits for nothing.
    state = hashlib.blake2b(generator.get_state().numpy().tobytes(), digest_size=7).digest()
    torch.rand((), device=generator.device, generator=generator)
    return torch.Generator().manual_seed(int.from_bytes(state, "little"))


def to(values: Tensor, images: Tensor) -> Tensor:
    """Values of the host where the images are, without waiting for the copy."""
    return values.to(images.device, non_blocking=True)


def choose(images: Tensor, kind: Tensor, functions: Mapping[int, Callable[..., Tensor]], *arguments: Tensor) -> Tensor:
    """Row b of the answer is `functions[kind[b]](images, *arguments)[b]`; rows of other kinds stay as they are.

    images (B, ...), anywhere; kind (B,) integers and arguments (B, ...), on the host. A function is given the rows of
    its kind, all at once and on the images' device, and answers as many of the same shape and type.
    """
    if kind.shape != images.shape[:1]:
        raise ValueError(f"kind: expected {len(images)} of them, one an image, got shape {tuple(kind.shape)}")
    if kind.device.type != "cpu":
        raise ValueError(f"kind: expected it on the CPU, where it is needed to sort the images, got {kind.device}")
    order = kind.argsort(stable=True)
    values, counts = kind[order].unique_consecutive(return_counts=True)
    if len(values) == 1:
        function = functions.get(int(values))
        return function(images, *(to(each, images) for each in arguments)) if function else images
    rows = [images.index_select(0, to(order, images)), *(to(each[order], images) for each in arguments)]
    parts = zip(*(each.split(counts.tolist()) for each in rows), strict=True)
    work = zip(values.tolist(), parts, strict=True)
    done = [functions[value](*part) if value in functions else part[0] for value, part in work]
    return torch.cat(done).index_select(0, to(order.argsort(), images))
