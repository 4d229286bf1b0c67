"""A device that cannot be waited for: images without values ("meta") can be computed with, but not looked at.

And torchvision's policies, watched while they decide.
"""

from itertools import chain

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import autoaugment
from torchvision.transforms.v2 import _auto_augment

from engine.augment import NAMES, Decisions, magnitudes


class Watch(TorchDispatchMode):
    """Counts what is asked of torch, and notes copies to the device for which the host waits."""

    def __init__(self):
        super().__init__()
        self.calls, self.waits = 0, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        self.calls += 1
        moves = function.overloadpacket is torch.ops.aten._to_copy and kwargs.get("device") == torch.device("meta")
        if moves and not kwargs.get("non_blocking"):
            self.waits.append(args)
        return function(*args, **kwargs)


@pytest.fixture
def watch():
    """Makes a new Watch: `with watch() as seen: ...`."""
    return Watch


NAMED = {name.replace("_", ""): operation for operation, name in enumerate(NAMES)}


class Replay:
    """Lets a transform of torchvision loose on pictures, and tells what it did to each, as our decisions."""

    def __init__(self, monkeypatch):
        self.steps, self.shares, self.first = [], [], None
        old, new = autoaugment._apply_op, _auto_augment._AutoAugmentBase._apply_image_or_video_transform

        def note(image, name, magnitude):
            if not self.steps or image is self.first:  # the first step of a chain is given the picture itself
                self.first = image
                self.steps.append([])
            self.steps[-1].append((name, float(magnitude)))

        def apply_op(image, name, magnitude, *args, **kwargs):
            note(image, name, magnitude)
            return old(image, name, magnitude, *args, **kwargs)

        def apply_transform(transform, image, name, magnitude, *args, **kwargs):
            note(image, name, magnitude * (255 if name == "Solarize" else 1))
            return new(transform, image, name, magnitude, *args, **kwargs)

        monkeypatch.setattr(autoaugment, "_apply_op", apply_op)
        monkeypatch.setattr(_auto_augment._AutoAugmentBase, "_apply_image_or_video_transform", apply_transform)
        for library in (autoaugment, _auto_augment):
            monkeypatch.setattr(library.AugMix, "_sample_dirichlet", self._sample)

    def _sample(self, parameters):
        self.shares.append(torch._sample_dirichlet(parameters)[0])
        return self.shares[-1][None]

    def __call__(self, transform, images, space):
        """The pictures that the transform makes, and its decisions, chains padded with steps not taken."""
        made, each, shares = [], [], []
        for image in images:
            self.steps, self.shares = [], []
            made.append(transform(image))
            each.append(self.steps or [[]])
            if self.shares:
                own, chains = self.shares
                shares.append(torch.cat([own[:1], chains * own[1]]))
        # Where the number of steps is known, a step that gives the very picture back must not look like a chain's end.
        if not shares or transform.chain_depth > 0:
            each = [regrouped(chains, transform.chain_depth if shares else None) for chains in each]
        depth = max(1, *(len(steps) for chains in each for steps in chains))
        table = magnitudes(space, tuple(images.shape[-2:]))
        rows = [
            [step for steps in chains
             for step in [*(decode(*done, table) for done in steps), *[(0, 0, 1, False)] * (depth - len(steps))]]
            for chains in each
        ]  # fmt: skip
        operation, magnitude, sign, applied = torch.tensor(rows).permute(2, 1, 0)
        share = torch.stack(shares, dim=1) if shares else None
        return torch.stack(made), Decisions(operation, magnitude, sign, applied.bool(), share)


def regrouped(chains, depth):
    """The steps of all chains, in chains of `depth`; in one chain for None."""
    steps = list(chain.from_iterable(chains))
    return [steps[i : i + depth] for i in range(0, len(steps), depth)] if depth else [steps]


def decode(name, argument, table):
    """torchvision's name and argument -> our operation, magnitude and sign."""
    operation = NAMED[name.lower()]
    row = table[NAMES[operation]]
    if not row.values:
        return operation, 0, 1, True
    ways = [(abs(row.at(m, sign) - argument), m, sign) for m in range(len(row.values)) for sign in (1, -1)]
    off, m, sign = min(ways)
    assert off < 1e-4
    return operation, m, sign, True


@pytest.fixture
def replay(monkeypatch):
    """`pictures, decisions = replay(transform, images, space)`."""
    return Replay(monkeypatch)
