"""Test-time augmentation where the answer has a place: boxes and masks are carried back from each view, then merged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torchvision.ops import batched_nms

from engine.augment.fan import FAN, NAMES, Name
from engine.bench import Bench
from engine.data.base import Facts
from engine.lenses.segmenter import Segments
from engine.lenses.views import USUAL, VIEWS, places
from engine.method import Bars, Boxes, Lens, Masks, Overlay, Params, Report, Table, knob
from engine.metrics.detection import Detections, average_precision, objects, tables
from engine.ops.boxes import area, iou
from engine.ops.fuse import fuse

Detect = Callable[[Any, Tensor, float, float, int], list[Detections]]
"""(model, images, least score, overlap of the NMS, most) -> what is found in each image."""
Joined = Literal["weighted fusion", "NMS"]
LEAST, MOST = 0.05, 60
"""Score from which a box is kept in memory, and how many of a picture."""
SEVERAL: tuple[Name, ...] = ("as it is", "mirrored", "zoom in", "zoom out")


class BoxesParams(Params):
    views: tuple[Name, ...] = knob(SEVERAL, VIEWS)
    merge: Joined = knob("weighted fusion", "boxes of one thing are averaged by their scores, or the best alone stays")
    score: float = knob(0.3, "least score of a box that is shown", LEAST, 0.99)
    overlap: float = knob(0.5, "overlap from which two boxes are of one thing", 0.05, 0.95)


def carried(model: nn.Module, detect: Detect, name: Name, images: Tensor) -> list[tuple[Detections, Tensor]]:
    """What is found in a view of each image, and where its boxes (D, 4) lie in the image. Boxes that end up without
    area are not there."""
    view, size, found = FAN[name], images.shape[-1], []
    with torch.no_grad():
        for one in detect(model, view.see(images), LEAST, 0.5, MOST):
            back = view.boxes_back(one.boxes, size)
            there = area(back) > 0
            found.append((Detections(one.boxes[there], one.scores[there], one.labels[there]), back[there]))
    return found


def joined(found: Sequence[tuple[Detections, Tensor]], how: Joined, overlap: float) -> Detections:
    """One image's boxes from several views, carried back, as one set."""
    boxes = torch.cat([back for _, back in found])
    scores, labels = (torch.cat([getattr(one, name) for one, _ in found]) for name in ("scores", "labels"))
    if how == "weighted fusion":
        return Detections(*fuse(boxes, scores, labels, len(found), overlap))
    kept = batched_nms(boxes, scores, labels, overlap)
    return Detections(boxes[kept], scores[kept], labels[kept])


def above(one: Detections, score: float) -> Detections:
    keep = one.scores >= score
    return Detections(one.boxes[keep], one.scores[keep], one.labels[keep])


def boxes_in_views(detect: Detect) -> Lens:
    """The lens for models that find boxes in the way of `detect`; they have `facts`."""

    def look(model: nn.Module, p: BoxesParams, images: Tensor, bench: Bench) -> Report:
        chosen = [NAMES[i] for i in places(p.views)]
        told = {name: bench.recall(partial(carried, model, detect, name, images), "boxes", name, images)[0]
                for name in dict.fromkeys((*chosen, NAMES[0]))}  # fmt: skip
        found, usual = [told[name] for name in chosen], told[NAMES[0]][0]
        shown = [above(one, p.score) for one, _ in found]
        back = [above(Detections(place, one.scores, one.labels), p.score) for one, place in found]
        mine = above(usual, p.score)
        facts: Facts = model.facts  # type: ignore[assignment]
        return {
            "original": images, "as_it_is": tables([mine]),
            "merged": tables([above(joined(found, p.merge, p.overlap), p.score)]),
            "seen": torch.cat([FAN[name].see(images) for name in chosen]), "in_the_view": tables(shown),
            "picture": images.expand(len(chosen), -1, -1, -1), "carried_back": tables(back),
            "classes": list(facts.classes), "view": chosen, "boxes": torch.tensor([len(one.boxes) for one in back]),
            "found_again": [again(mine, one) for one in back],
        }  # fmt: skip

    return Lens(
        "Boxes in views", BoxesParams, look,
        (
            Boxes(("original", "as_it_is", "merged"), "The picture as it is, and all views merged. The share of the "
                  "views that found a box weighs its fused score: what only one of them sees grows faint."),
            Boxes(("seen", "in_the_view"), "Each view and what is found in it, in the order of the table."),
            Boxes(("picture", "carried_back"), "The same boxes, carried back. A box that was turned by less than a "
                  "quarter comes back as the hull of its corners, and is too large."),
            Table(("view", "boxes", "found_again"), "Boxes of each view, and of those found in the picture as it is "
                  "how many the view finds again."),
        ),
        "Detect in several views, carry the boxes back, and merge them.",
        takes="image",
    )  # fmt: skip


def again(mine: Detections, other: Detections) -> str:
    """How many boxes of `mine` the other set has too: of the same label, overlapping by half."""
    same = (mine.labels[:, None] == other.labels) & (iou(mine.boxes[:, None], other.boxes) >= 0.5)
    return f"{int(same.any(dim=1).sum()) if same.numel() else 0} of {len(mine.boxes)}"


class GainParams(Params):
    views: tuple[Name, ...] = knob(SEVERAL, VIEWS)
    overlap: float = knob(0.5, "overlap from which two boxes are of one thing", 0.05, 0.95)
    count: int = knob(60, "test pictures", 2, 2000, tiny=2, fold=True)


def gain_of_views(detect: Detect) -> Lens:
    """The same measured on test pictures; the models have `facts` and `params.data`."""

    def look(model: Any, p: GainParams, images: None, bench: Bench) -> Report:
        facts: Facts = model.facts
        data = bench.data(model.params.data, "test")
        batch = data.batch(torch.arange(min(p.count, len(data)))).to(bench.device)
        truth, chosen = objects(batch), [NAMES[i] for i in places(p.views)]

        def of(name: Name) -> list[tuple[Detections, Tensor]]:
            return bench.recall(lambda: carried(model, detect, name, batch.images), "test boxes", name, p.count)

        def ap50(found: Sequence[Detections]) -> float:
            return average_precision(found, truth, len(facts.classes)).ap50

        single = {name: of(name) for name in dict.fromkeys(("as it is", *chosen))}
        ways: dict[str, float] = {"as it is": ap50([one for one, _ in single["as it is"]])}
        ways |= {f"only {name}": ap50([Detections(back, one.scores, one.labels) for one, back in single[name]])
                 for name in chosen if name != "as it is"}  # fmt: skip
        rows = list(zip(*(single[name] for name in chosen), strict=True))
        for how in get_args(Joined):
            ways[f"all by {how}"] = ap50([joined(row, how, p.overlap) for row in rows])
        best = max(ways, key=lambda name: ways[name])
        said = f"Best: {best}, AP50 {ways[best]:.3f} against {ways['as it is']:.3f} in one pass. "
        worst = [name for name, value in ways.items() if name.startswith("only") and value < ways["as it is"] / 2]
        said += f"Do harm: {', '.join(name.removeprefix('only ') for name in worst)}." if worst else ""
        return {"AP50": torch.tensor(list(ways.values())), "way": list(ways), "in_words": [said.strip()]}

    return Lens(
        "Worth it for boxes?", GainParams, look,
        (
            Table(("in_words",), "Views change what each pass finds, and every one costs a pass."),
            Bars(("AP50", "way"), "AP50 on test pictures: each view alone, its boxes carried back, and all merged."),
        ),
        "On test pictures: do more views find more?", takes="nothing",
    )  # fmt: skip


class PixelsParams(Params):
    views: tuple[Name, ...] = knob(USUAL, VIEWS)


@torch.no_grad()
def maps_of(model: Segments, name: Name, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a view gives: its answer (B, S, S) in its own frame, probabilities (B, K, S, S) carried back, and which
    pixels it shows, (S, S)."""
    chance = model(FAN[name].see(images)).float().softmax(dim=1)
    back, seen = FAN[name].maps_back(chance)
    return chance.argmax(dim=1), back, seen


def look_pixels(model: Segments, p: PixelsParams, images: Tensor, bench: Bench) -> Report:
    """A picture segmented in several views, carried back, and averaged pixel by pixel over the views that show it."""
    chosen = [NAMES[i] for i in places(p.views)]
    every = {name: bench.recall(partial(maps_of, model, name, images), "pixels", name, images)
             for name in dict.fromkeys((*chosen, NAMES[0]))}  # fmt: skip
    told, first = [every[name] for name in chosen], every[NAMES[0]][0]
    shown = torch.stack([seen for _, _, seen in told])[:, None, None].float()
    chance = torch.stack([back for _, back, _ in told])
    mean = (chance * shown).sum(dim=0) / shown.sum(dim=0).clamp(min=1)
    answer = torch.where(shown.sum(dim=0)[:, 0] > 0, mean.argmax(dim=1), first)
    said, counted = chance.argmax(dim=2), shown[:, 0]
    differ = ((said != answer) & (counted > 0)).float().sum(dim=0) / counted.sum(dim=0).clamp(min=1)
    return {
        "original": images.expand(-1, 3, -1, -1), "as_it_is": first, "merged": answer, "disagree": differ,
        "seen": torch.cat([FAN[name].see(images) for name in chosen]),
        "in_the_view": torch.cat([mine for mine, _, _ in told]),
        "picture": images.expand(len(chosen), -1, -1, -1),
        "carried_back": torch.where(counted > 0, said, 255).flatten(0, 1).expand(len(chosen), -1, -1),
        "classes": list(model.classes[1:]), "view": chosen,
        "as_merged": torch.stack([(one == answer)[:, seen].float().mean() for one, (_, _, seen) in
                                  zip(said, told, strict=True)]),
    }  # fmt: skip


PIXELS = Lens(
    "Pixels in views", PixelsParams, look_pixels,
    (
        Masks(("original", "as_it_is", "merged"), "One pass, and the mean over all views that show a pixel."),
        Overlay(("original", "disagree"), "Share of the views that say something else than all together: mostly "
                "borders."),
        Masks(("seen", "in_the_view"), "Each view and its answer, in the order of the table."),
        Masks(("picture", "carried_back"), "The same answers, carried back; grey is what a view does not show."),
        Table(("view", "as_merged"), "Share of its pixels of which a view says the same as all together."),
    ),
    "Segment in several views, carry the masks back, and merge them pixel by pixel.",
    takes="image",
)  # fmt: skip
