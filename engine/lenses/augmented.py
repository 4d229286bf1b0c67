"""Augmentation as a classifier sees it: what is drawn, how strong it is, and when the label begins to lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.augment import (
    OPERATIONS,
    AugMix,
    AutoAugment,
    Decisions,
    Policy,
    RandAugment,
    Scale,
    TrivialAugment,
    apply_operation,
    cutmix,
    magnitudes,
    mixup,
)  # fmt: skip
from engine.augment.code import code
from engine.augment.inspect import applied, contact_sheet, strength_curve, verdict
from engine.augment.magnitudes import LARGEST
from engine.bench import Bench
from engine.lenses.classifier import Classifies
from engine.method import Bars, Curves, Lens, Params, Pictures, Report, Table, knob

TILES, MOST_OPERATIONS = 31, 8
COPIES, MEASURED = 24, 64
"""Draws over which a policy's strength is averaged, and the side at which it is measured."""
TABLE = "torchvision's table of magnitudes; in the authors' (tf) and in timm's two operations run backwards"
WORDS = [name.replace("_", " ") for name in OPERATIONS]
POLICIES: dict[str, Policy] = {
    "AutoAugment": AutoAugment("imagenet"), "TrivialAugment": TrivialAugment(), "AugMix": AugMix()
}  # fmt: skip


class DrawsParams(Params):
    policy: Literal["RandAugment", "AutoAugment", "TrivialAugment", "AugMix"] = knob(
        "RandAugment", "who decides; n, m and scale are RandAugment's alone"
    )
    n: int = knob(2, "operations for each picture, one after the other", 0, MOST_OPERATIONS)
    m: int = knob(9, "magnitude of all of them", 0, LARGEST)
    scale: Scale = knob("torchvision", TABLE)
    seed: int = knob(0, "another draw", 0, 9999)


def drawn(params: DrawsParams) -> tuple[Policy, Decisions]:
    """The policy, and what it decides for TILES pictures.

    What RandAugment draws does not depend on m, and a further operation leaves those before it: under the hand, each
    tile changes and stays itself.
    """
    generator = torch.Generator().manual_seed(params.seed)
    if params.policy != "RandAugment":
        policy = POLICIES[params.policy]
        return policy, policy.draw(TILES, generator)
    every = RandAugment(MOST_OPERATIONS, params.m, params.scale).draw(TILES, generator)
    rows = (every.operation, every.magnitude, every.sign, every.applied)
    return RandAugment(params.n, params.m, params.scale), Decisions(*(row[: params.n] for row in rows))


@torch.no_grad()
def draws(model: Classifies, params: DrawsParams, images: Tensor, bench: Bench) -> Iterator[Report]:
    """One picture as TILES epochs would show it, what made it so, and whether the network still sees what it was."""
    policy, decisions = drawn(params)
    shown = torch.cat([images, policy.apply(images.expand(TILES, -1, -1, -1), decisions)])
    words = applied(policy, decisions, (images.shape[2], images.shape[3]))
    report: Report = {"tiles": shown, "code": code(policy).rstrip().split("\n")}
    yield report | {"applied": ["as it is", *words]}
    chance = model(shown).softmax(dim=1)
    best = int(chance[0].argmax())
    called = f"{model.classes[best]}, {float(chance[0, best]):.0%}"
    yield report | {"applied": [called, *words], "still": chance[:, best]}


DRAWS = Lens(
    "Draws", DrawsParams, draws,
    (
        Pictures(("tiles",), "Your picture and what the network calls it, then 31 draws, their operations in order. "
                 "The bar: how probable the network still finds what it called the original.",
                 under=("still", "applied")),
        Table(("code",), "The same in a library, to copy."),
    ),
    "What a network in training sees of one picture: drag N and M, the draws stay the same.",
    takes="image",
)  # fmt: skip


class SheetParams(Params):
    scale: Scale = knob("torchvision", TABLE)
    reverse: bool = knob(False, "the other direction, of operations that have two")


def sheet(model: Classifies, params: SheetParams, images: Tensor, bench: Bench) -> Report:
    """Each operation at each magnitude on a picture, and how far it takes the pixels."""
    pictures, change = contact_sheet(images[0], params.scale, -1 if params.reverse else 1)
    every = torch.arange(LARGEST + 1.0)
    report: Report = {name: pictures[::6, i] for i, name in enumerate(OPERATIONS)}
    report |= {f"change/{name}": torch.stack([every, change[:, i].cpu()], 1) for i, name in enumerate(OPERATIONS)}
    table = magnitudes(params.scale, (images.shape[2], images.shape[3]))
    says = [verdict(change[:, i].tolist()) if table[name].values else "takes no magnitude"
            for i, name in enumerate(OPERATIONS)]  # fmt: skip
    report |= {f"change/{name} says": [word] for name, word in zip(OPERATIONS, says, strict=True)}
    report |= {"operation": WORDS, "at_0": change[0], "at_30": change[-1], "most_at": change.argmax(0), "with_M": says}
    small = F.adaptive_avg_pool2d(images, min(MEASURED, images.shape[-1]))
    return report | bench.recall(lambda: policy_strength(small, params.scale), "strength", small, params.scale)


def policy_strength(images: Tensor, scale: Scale) -> Report:
    """By how much a pixel changes on average when N operations are drawn at each M, for N of 1 to 3."""
    copies, every = images.repeat(COPIES, 1, 1, 1), torch.arange(LARGEST + 1.0)
    found = (strength_curve(RandAugment(n, 0, scale), copies, torch.Generator().manual_seed(0), 1) for n in (1, 2, 3))
    return {f"N_{n}": torch.stack([every, one.cpu()], dim=1) for n, one in enumerate(found, 1)}


SHEET = Lens(
    "Sheet", SheetParams, sheet,
    (
        Curves(tuple(f"change/{name}" for name in OPERATIONS),
               "By how much a pixel changes on average, from M = 0 to 30; all curves on one scale. One that falls is "
               "of an operation that weakens as M grows.", over="M"),
        Curves(("N_1", "N_2", "N_3"),
               "The same for the whole policy, N operations drawn at each M. Moves change most pixels: they can hide "
               "that other operations weaken.", over="M"),
        Pictures(OPERATIONS[:6], "Moves, at M = 0, 6, 12, 18, 24, 30 from top to bottom."),
        Pictures(OPERATIONS[6:], "Changes of grey or colour, at M = 0, 6, 12, 18, 24, 30 from top to bottom."),
        Table(("operation", "at_0", "at_30", "most_at", "with_M"),
              "Try scale tf or timm: posterize and solarize weaken as M grows, and the enhancements do nothing at "
              "M = 5, so that a larger M is not a stronger augmentation. timm-inc mends that."),
    ),
    "Every operation at every strength, measured: does more M mean more effect?",
    takes="image",
)  # fmt: skip


class StillParams(Params):
    n: int = knob(2, "operations for each picture", 1, MOST_OPERATIONS)
    m: int = knob(18, "magnitude of the single operations", 0, LARGEST)
    scale: Scale = knob("torchvision", TABLE)
    draws: int = knob(16, "draws at each magnitude, averaged", 1, 256, tiny=2, fold=True)


@torch.no_grad()
def still_that_class(model: Classifies, params: StillParams, images: Tensor, bench: Bench) -> Iterator[Report]:
    """The probability of what the network called the untouched picture, as it is augmented ever more strongly."""
    chance, first = model(images).softmax(dim=1)[0].max(dim=0)
    course: dict[str, list[tuple[int, float]]] = {"average": [], "weakest_draw": [], "chance": []}
    report: Report = {"original": images}

    def still(seen: Tensor) -> Tensor:
        """(N, C, H, W) -> (N,): the probability of the first answer."""
        return model(seen).softmax(dim=1)[:, first]

    many = images.repeat(params.draws, 1, 1, 1)
    for m in range(0, LARGEST + 1, 3):
        seen = RandAugment(params.n, m, params.scale)(many, bench.generator)
        kept = still(seen)
        for name, value in (("average", kept.mean()), ("weakest_draw", kept.min()), ("chance", 1 / len(model.classes))):
            course[name].append((m, float(value)))
        report |= {f"M_{m}": seen[:1]} if m in (9, 18, 30) else {}
        yield report | {name: torch.tensor(points, dtype=torch.float32) for name, points in course.items()}
    lost = next((str(m) for m, value in course["average"] if value < chance / 2), "at none")
    signs = [torch.cat([apply_operation(images, name, params.m, sign, params.scale) for sign in (1, -1)])
             for name in OPERATIONS]  # fmt: skip
    yield report | {name: torch.tensor(points, dtype=torch.float32) for name, points in course.items()} | {
        "called": [model.classes[int(first)]], "probability": chance[None], "halved_at_M": [lost],
        "kept": still(torch.cat(signs)).view(len(OPERATIONS), 2).mean(dim=1), "operation": WORDS,
    }  # fmt: skip


STILL = Lens(
    "Still that class?", StillParams, still_that_class,
    (
        Curves(("average", "weakest_draw", "chance"),
               "Probability of what the network called the untouched picture, against M. Where it falls, the label "
               "begins to lie.", over="M"),
        Pictures(("original", "M_9", "M_18", "M_30"), "One draw at growing magnitude."),
        Bars(("kept", "operation"), "The same probability after one operation alone at the chosen M: which one "
             "destroys the class?"),
        Table(("called", "probability", "halved_at_M"),
              "What the network calls the picture, and the M from which it believes that less than half as much."),
    ),
    "How strong may augmentation be before the network no longer knows what it sees?",
    takes="image",
)  # fmt: skip


class MixParams(Params):
    kind: Literal["mixup", "CutMix"] = knob("mixup", "blend two pictures, or paste a box of one into the other")
    alpha: float = knob(1.0, "Beta parameter of the share: small, and most mixtures are nearly one picture", 0.05, 8.0,
                        log=True)  # fmt: skip
    seed: int = knob(0, "another draw", 0, 9999)


@torch.no_grad()
def mixed(model: Classifies, params: MixParams, images: Tensor, bench: Bench) -> Report:
    """Pairs of the pictures mixed in three draws, and what the network sees of either."""
    named = model(images).argmax(dim=1)
    mix = {"mixup": mixup, "CutMix": cutmix}[params.kind]
    generator = torch.Generator().manual_seed(params.seed)
    report: dict[str, list] = {"mixture": [], "label": [], "first": [], "second": []}
    for _ in range(3):
        made = mix(images, named, generator, params.alpha, len(model.classes), per_image_share=True)
        chance, other = model(made.images).softmax(dim=1), named[made.partner]
        report["mixture"].append(made.images)
        report["first"].append(chance.gather(1, named[:, None])[:, 0])
        report["second"].append(chance.gather(1, other[:, None])[:, 0])
        report["label"] += [
            f"{share:.0%} {model.classes[one]}, {1 - share:.0%} {model.classes[two]}"
            for share, one, two in zip(made.share.tolist(), named.tolist(), other.tolist(), strict=True)
        ]
    return {name: rows if name == "label" else torch.cat(rows) for name, rows in report.items()}


MIX = Lens(
    "Mix", MixParams, mixed,
    (
        Pictures(("mixture",), "The label that the mixture gets in training. The bars: how probable the network finds "
                 "its first part and its second; one that was trained without mixtures tends to settle for one.",
                 under=("first", "second", "label")),
    ),
    "Two pictures in one, and their labels with them.",
)  # fmt: skip
