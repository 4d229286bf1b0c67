"""How fast the augmentations are, beside torchvision (image by image) and kornia (the same batch), in one run.

python -m engine.timings.augment
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision import transforms

from engine.augment.augmix import AugMix
from engine.augment.autoaugment import AutoAugment
from engine.augment.randaugment import RandAugment
from engine.augment.trivialaugment import TrivialAugment
from engine.augment.views import simclr
from engine.timings.turns import in_turns, one_thread

Augment = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Row:
    """Milliseconds a batch, the median of the rounds. kornia is None where it is not installed."""

    augmentation: str
    size: int
    batch: int
    device: str
    ours: float
    torchvision: float
    kornia: float | None

    @property
    def over_torchvision(self) -> float:
        """How many times as fast as torchvision we are."""
        return self.torchvision / self.ours

    @property
    def over_kornia(self) -> float | None:
        """How many times as fast as kornia we are."""
        return None if self.kornia is None else self.kornia / self.ours


def table(
    batch: int | None = None, sizes: Sequence[int] = (32, 224), device: torch.device | str | None = None,
    rounds: int | None = None,
) -> list[Row]:  # fmt: skip
    """Time the policies (RandAugment: n 2, m 9) and SimCLR's view on `batch` colour images of each size.

    Policies are given uint8, as published, and kornia's float, since they take nothing else; views are given float.

    device: None takes a GPU when there is one. batch: None is 256 on a GPU; on a CPU 64, and 8 above 64 pixels. In each
    of the `rounds` (None: 20 on a GPU, 12 on a CPU) the libraries take turns, so that a slow moment hits all of them;
    torchvision, being slow and steady, sits out three of four. All use one thread on a CPU.
    """
    device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    on_cpu = device.type == "cpu"
    rounds = (12 if on_cpu else 20) if rounds is None else rounds
    if rounds < 1 or (batch is not None and batch < 1):
        raise ValueError(f"batch, rounds: expected 1 or more, got {batch} and {rounds}")
    with one_thread():
        rows = []
        for size in sizes:
            count = batch or (256 if not on_cpu else 64 if size <= 64 else 8)
            for name, rivals in _rivals(size).items():
                rows.append(_row(name, size, count, device, rounds, rivals))
        return rows


@dataclass(frozen=True)
class Rivals:
    """The same augmentation three times. ours: of a batch, given a generator; torchvision: of an image."""

    ours: Callable[[Tensor, torch.Generator], Tensor]
    torchvision: Augment
    kornia: Augment | None


def _rivals(size: int) -> dict[str, Rivals]:
    kernel = 2 * max(1, size // 20) + 1
    view = transforms.Compose(
        [
            transforms.RandomResizedCrop(size, antialias=False),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([transforms.ColorJitter(0.8, 0.8, 0.8, 0.2)], 0.8),
            transforms.RandomGrayscale(0.2),
            transforms.RandomApply([transforms.GaussianBlur(kernel, (0.1, 2.0))], 0.5),
        ]
    )
    kornia = _kornia(size, kernel)
    return {
        "RandAugment": Rivals(RandAugment(2, 9), transforms.RandAugment(2, 9), kornia.get("RandAugment")),
        "AutoAugment": Rivals(AutoAugment(), transforms.AutoAugment(), kornia.get("AutoAugment")),
        "TrivialAugment": Rivals(TrivialAugment(), transforms.TrivialAugmentWide(), kornia.get("TrivialAugment")),
        "AugMix": Rivals(AugMix(), transforms.AugMix(all_ops=False), None),
        "SimCLR": Rivals(simclr(), view, kornia.get("SimCLR")),
    }


def _kornia(size: int, kernel: int) -> dict[str, Augment]:
    try:
        import kornia.augmentation as others
        from kornia.augmentation import auto
    except ModuleNotFoundError:
        return {}
    view = torch.nn.Sequential(
        others.RandomResizedCrop((size, size)),
        others.RandomHorizontalFlip(),
        others.ColorJitter(0.8, 0.8, 0.8, 0.2, p=0.8),
        others.RandomGrayscale(p=0.2),
        others.RandomGaussianBlur((kernel, kernel), (0.1, 2.0), p=0.5),
    )
    return {
        "RandAugment": auto.RandAugment(2, 9), "AutoAugment": auto.AutoAugment("imagenet"),
        "TrivialAugment": auto.TrivialAugment(), "SimCLR": view,
    }  # fmt: skip


def _row(name: str, size: int, batch: int, device: torch.device, rounds: int, rivals: Rivals) -> Row:
    generator = torch.Generator(device).manual_seed(0)
    small = torch.rand(batch, 3, max(2, size // 8), max(2, size // 8), generator=torch.Generator().manual_seed(0))
    images = torch.nn.functional.interpolate(small, (size, size), mode="bilinear").to(device)
    eight_bit = (images * 255).to(torch.uint8)
    source = images if name == "SimCLR" else eight_bit
    works: dict[str, Callable[[], object]] = {
        "ours": lambda: rivals.ours(source, generator),
        "torchvision": lambda: [rivals.torchvision(image) for image in source],
    }
    if (theirs := rivals.kornia) is not None:
        works["kornia"] = lambda: theirs(images)
    took = in_turns(works, rounds, device, seldom={"torchvision"})
    return Row(name, size, batch, str(device), took["ours"], took["torchvision"], took.get("kornia"))


def show(rows: Sequence[Row]) -> str:
    """The rows as a text table."""
    lines = [f"{'':14} {'pixels':>6} {'batch':>5} {'ours':>9} {'torchvision':>18} {'kornia':>18}   on {rows[0].device}"]
    for row in rows:
        kornia = "-" if row.kornia is None else f"{row.kornia:.1f} ms ({row.over_kornia:.1f}x)"
        torchvision = f"{row.torchvision:.1f} ms ({row.over_torchvision:.1f}x)"
        lines.append(
            f"{row.augmentation:14} {row.size:6} {row.batch:5} {row.ours:6.1f} ms {torchvision:>18} {kornia:>18}"
        )
    if rows[0].kornia is None:
        lines.append("kornia is not installed, so there is no comparison with it: pip install kornia")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(show(table()) + "\n")
