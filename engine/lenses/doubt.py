"""What several answers say together of the pictures at hand, and the doubt behind it in its two parts."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from engine.bench import Bench
from engine.lenses.sources import Kind, count_of, names_of, said, told, with_source
from engine.method import Curves, Lens, Masks, Overlay, Params, Pictures, Report, knob
from engine.metrics.doubts import by_picture
from engine.metrics.running import DOUBTS, Running, after, settling

Scale = Literal["shared", "own"]
SCALE = "of the doubts: one for all, or each from 0 to its own largest, so that faint ones show"


class PixelsParams(Params):
    scale: Scale = knob("own", SCALE)


def scaled(part: dict[str, Tensor], scale: Scale) -> dict[str, Tensor]:
    """Doubts in [0, 1]: of the largest total, or each of its own largest."""
    largest = {name: (part["total"] if scale == "shared" else each).max() for name, each in part.items()}
    return {name: each / largest[name].clamp(min=1e-6) for name, each in part.items()}


def course(found: Running) -> Report:
    """How the answers settle, over their number, in the mean over the pictures."""
    final = found["mean"][:, -1].argmax(dim=1)[:, None, None]
    sure = found["mean"].gather(2, final.expand(-1, found["mean"].shape[1], *final.shape[2:])).transpose(0, 1)
    lines = settling(found)
    lines["sure"] = torch.stack([lines["total"][:, 0], sure.flatten(1).mean(dim=1).cpu()], dim=1)
    return lines


def now_and_on(kind: Kind, model: Any, p: Any, images: Tensor, bench: Bench) -> tuple[Running, Report]:
    """What the answers that count say; and how all of them settle, with how many count now. Both from memory, once
    asked."""
    found, count = told(kind, model, p, images, bench), count_of(kind, p)
    lines = bench.recall(lambda: course(found), "course", kind, getattr(p, "dropout", 1.0), images)
    return after(found, count), lines | {"counted": float(min(count, found["mean"].shape[1]))}


class DoubtParams(Params):
    scale: Scale = knob("shared", SCALE)
    order: Literal["as given", "most contradicted first"] = knob(
        "as given", "of the pictures; those on which answers disagree would teach it most, had they a label (BALD)"
    )


def look_doubt(kind: Kind, model: Any, p: Any, images: Tensor, bench: Bench) -> Report:
    """The answer to each picture, and its doubt in two parts."""
    now, lines = now_and_on(kind, model, p, images, bench)
    part = {name: by_picture(now[name]) for name in DOUBTS}
    order = torch.arange(len(images), device=images.device)
    if p.order != "as given":
        order = part["epistemic"].argsort(descending=True, stable=True)
    bars = scaled(part, p.scale)
    numbers = zip(part["aleatoric"][order].tolist(), part["epistemic"][order].tolist(), strict=True)
    return lines | {
        "pictures": images[order], "answer": said(model, now["mean"][order]),
        "unclear in itself": bars["aleatoric"][order], "answers disagree": bars["epistemic"][order],
        "nats": [f"{unclear:.2f} + {disagree:.2f}" for unclear, disagree in numbers],
    }  # fmt: skip


def look_pixels(kind: Kind, model: Any, p: Any, images: Tensor, bench: Bench) -> Report:
    """The same pixel by pixel."""
    now, lines = now_and_on(kind, model, p, images, bench)
    maps = scaled({name: now[name] for name in DOUBTS}, p.scale) if p.scale == "own" else now
    whole, answer = now["mean"].ndim == 2, now["mean"].argmax(dim=1)
    # As labels of masks, where 0 is background: the class of a whole picture counts from 1 and tints all of it.
    answer = 1 + answer if whole else answer
    names = [name for name in names_of(model) if name != "background"]

    def spread(values: Tensor) -> Tensor:
        return (values[:, None, None] if whole else values).expand(len(images), *images.shape[-2:])

    shown = {name: spread(maps[name]) for name in DOUBTS}
    return lines | {f"{name} doubt": each for name, each in shown.items()} | {
        "pictures": images.expand(-1, 3, -1, -1), "answer": spread(answer), "classes": names,
    }  # fmt: skip


SETTLES = (
    Curves(
        DOUBTS,
        "How the doubts settle as more answers count, in nats, on average over the pictures. The line marks how many "
        "count now.",
        over="answers", mark="counted",
    ),
    Curves(("sure",), "The same of the mean answer: how probable it finds what all together say.", over="answers",
           mark="counted"),
)  # fmt: skip


def doubt(kind: Kind) -> Lens:
    return Lens(
        "Doubt", with_source(DoubtParams, kind), partial(look_doubt, kind),
        (
            Pictures(
                ("pictures",),
                f"The mean answer. First bar: every one of the {kind} hesitates, the picture is unclear in itself "
                f"(aleatoric). Second bar: the {kind} contradict each other (epistemic). Below: the two in nats; their "
                "sum is the total doubt.",
                under=("answer", "unclear in itself", "answers disagree", "nats"),
            ),
            *SETTLES,
        ),
        f"Ask for several {kind} and let ever more of them count: which pictures stay in doubt, and why?",
        replays=kind,
    )  # fmt: skip


def pixels(kind: Kind) -> Lens:
    return Lens(
        "Pixel by pixel", with_source(PixelsParams, kind), partial(look_pixels, kind),
        (
            Overlay(
                ("pictures", "total doubt", "aleatoric doubt", "epistemic doubt"),
                "Total doubt is the sum of the other two: what the picture leaves open, and where the "
                f"{kind} contradict each other.",
            ),
            Masks(("pictures", "answer"), "The mean answer."),
            SETTLES[0],
        ),
        "Where in the picture is the doubt? At borders for want of pixels, on things it does not know for want of "
        "learning.",
        replays=kind,
    )  # fmt: skip
