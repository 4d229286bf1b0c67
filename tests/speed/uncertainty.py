"""Prints what is saved by asking several answers at once, against asking one after the other.

    PYTHONPATH=. python tests/speed/uncertainty.py

Nothing is asserted: clocks differ.
"""

import statistics
import time

import torch
from torchvision import models

from engine.bench import Bench, Setup
from engine.catalog import method
from engine.checkpoint import read_checkpoint
from engine.lenses.sources import MOST, ask
from engine.metrics.running import after, running
from engine.ops.dropout import only_dropout, samples
from engine.showcase import folder, pictures

PICTURES, TIMES = 32, 3


def shipped(id):
    checkpoint = read_checkpoint(folder(id) / "checkpoint.safetensors")
    found = method(checkpoint.method)
    model = found.build(found.params.make(checkpoint.params), checkpoint.facts)
    model.load_state_dict(dict(checkpoint.weights))
    images = pictures(Bench(Setup(device="cpu")), str(checkpoint.params["data"]), None, PICTURES)
    return model.eval(), images


def seconds(work):
    """The median of a few."""
    work()
    found = []
    for _ in range(TIMES):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def said(name, once, loop):
    print(f"{name:<58} {1000 * once:8.1f} ms, in a loop {1000 * loop:8.1f} ms: {loop / once:5.1f} times as fast")


def vgg16():
    """On a GPU if there is one: thirty passes of torchvision's VGG-16, whose dropout is in its head."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net, images = (
        models.vgg16().to(device).eval(),
        torch.rand(64 if device == "cuda" else 1, 3, 224, 224, device=device),
    )

    def wait():
        if device == "cuda":
            torch.cuda.synchronize()

    def loop():
        with only_dropout(net):
            torch.stack([net(images) for _ in range(30)], dim=1)
        wait()

    def once():
        samples(net, images, 30, torch.Generator().manual_seed(0))
        wait()

    said(
        f"30 passes of {len(images)} pictures through VGG-16 on {device}, convolutions once",
        seconds(once),
        seconds(loop),
    )


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    vgg16()
    for id, what in (
        ("uncertainty.mc_dropout", f"{MOST['passes']} passes of {PICTURES} garments, convolutions once"),
        ("uncertainty.mc_dropout.scenes", f"{MOST['passes']} passes of {PICTURES} scenes, without dropout once"),
    ):
        model, images = shipped(id)

        def loop(net=model.net, images=images):
            with only_dropout(net):
                return torch.stack([net(images) for _ in range(MOST["passes"])], dim=1).softmax(dim=2)

        said(what, seconds(lambda model=model, images=images: ask("passes", model, images)), seconds(loop))
    model, images = shipped("uncertainty.deep_ensembles")
    nets = [model.nets.member(m).eval() for m in range(model.nets.count)]
    each = seconds(lambda: torch.stack([net(images) for net in nets], dim=1).softmax(dim=2))
    said(f"{len(nets)} networks of an ensemble in one call", seconds(lambda: ask("networks", model, images)), each)
    model, images = shipped("uncertainty.mc_dropout.scenes")
    told = ask("passes", model, images[:8])
    found = running(told)
    memory, anew = seconds(lambda: after(found, 20)), seconds(lambda: ask("passes", model, images[:8], 20))
    print(f"{'doubts of 8 scenes after 20 passes':<58} {1000 * memory:8.3f} ms from memory, {1000 * anew:.0f} ms anew")


if __name__ == "__main__":
    main()
