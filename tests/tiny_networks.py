"""Small networks of the methods, on three classes of pictures that are hard to tell apart."""

import torch

from engine.bench import Bench, Setup
from engine.catalog import method
from engine.data.base import Batch, Facts, Memory

FACTS = Facts(1, 28, ("dark", "light", "striped"))


def toy(count, seed, facts=FACTS):
    """Three classes in noise that hides them from a few labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 200, (count, facts.channels, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % 3
    images[labels == 1] += 12
    images[labels == 2, :, ::4] += 20
    return Memory(Batch(images, torch.arange(count), labels), facts)


def bench():
    named = {"toy": FACTS, "other": Facts(1, 28, ("a", "b")), "colour": Facts(3, 28, FACTS.classes)}
    sets = {(name, split, 28): toy(150, seed, facts) for name, facts in named.items()
            for split, seed in (("train", 0), ("test", 1))}  # fmt: skip
    sets["other", "test", 28] = toy(150, 1)
    return Bench(Setup(device="cpu"), sets=sets)


def model(id="representation.mae", **knobs):
    found = method(id)
    params = found.params.make({"data": "toy"} | knobs, "tiny")
    torch.manual_seed(0)
    return found.build(params, FACTS).eval()
