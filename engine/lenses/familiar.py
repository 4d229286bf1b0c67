"""Does a model notice what it does not know? Pictures of another kind beside the known ones, and faults in rungs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from engine.augment.ladder import RUNGS, Rising, moved, rung
from engine.bench import Bench
from engine.lenses.sources import (
    Kind,
    ask,
    count_of,
    errors,
    known,
    once,
    said,
    test_pictures,
    told,
    truth_of,
    unlike,
    with_source,
)
from engine.method import Curves, Histogram, Lens, Params, Pictures, Report, Table, knob
from engine.metrics.doubts import by_picture, hesitation
from engine.metrics.running import DOUBTS, after, running
from engine.metrics.uncertainty import auroc

Set = Literal["glyphs", "photos", "cutouts", "scenes", "garments"]
SPECS: dict[Set, str] = {"glyphs": "glyphs", "photos": "photos", "cutouts": "cutouts", "scenes": "scenes:scene64",
                         "garments": "garments"}  # fmt: skip
SHOWN = 8
"""Pictures of the other set in the tray, after the visitor's."""


class StrangersParams(Params):
    beside: Set = knob("glyphs", "pictures of another kind that are put into the tray, after yours")
    by: Literal["total", "aleatoric", "epistemic"] = knob("epistemic", "the doubt that is compared")
    alarm: float = knob(0.05, "share of known pictures that may be called strange by mistake", 0.0, 0.5)
    tested: int = knob(1000, "test pictures; fewer where each pixel is an answer", 16, 5000, tiny=32, fold=True)


def percentile(values: Tensor, among: Tensor) -> Tensor:
    """The share of `among` (N,) that lies below each of values (B,), ties counting half: 0 to 1."""
    below = among.sort().values
    low, high = (torch.searchsorted(below, values, right=right) for right in (False, True))
    return (low + high).double() / (2 * len(among))


def verdict(place: float, alarm: float) -> str:
    """In words, what a percentile among known pictures means when a share `alarm` of them may be called strange."""
    if place >= 1 - alarm:
        return "strange to it"
    return "unusual" if place >= 1 - 4 * alarm else "as any it knows"


def easier(apart: float) -> str:
    """In words, what the AUROC of strange against known pictures says of the strange ones."""
    return "is doubted more" if apart > 0.6 else "seems easier" if apart < 0.4 else "is hardly told apart"


def look_strangers(kind: Kind, model: Any, p: Any, images: Tensor, bench: Bench) -> Report:
    """Where the pictures stand among the doubts about known ones."""
    count = count_of(kind, p)
    ours = known(kind, model, p, p.tested, bench).after(count)

    def others() -> dict[str, Any]:
        given = unlike(model, SPECS[p.beside], p.tested, bench)
        found = running(ask(kind, model, given, times=getattr(p, "dropout", 1.0)))
        flat = {name: found[name].reshape(*found[name].shape[:2], -1).mean(dim=2) for name in DOUBTS}
        return {"shown": given[:: max(1, len(given) // SHOWN)][:SHOWN], "found": flat}

    other = bench.recall(others, "unlike", kind, getattr(p, "dropout", 1.0), p.beside, p.tested)
    theirs = after(other["found"], count)
    tray = torch.cat([images, other["shown"]])
    found = after(told(kind, model, p, tray, bench), count)
    mine = by_picture(found[p.by])
    base = by_picture(ours[p.by])
    apart = [auroc(theirs[part], by_picture(ours[part])) for part in DOUBTS]
    places = percentile(mine, base).tolist()
    return {
        "tray": tray, "percentile": torch.tensor(places),
        "place": [f"above {place:.0%}" for place in places],
        "verdict": [verdict(place, p.alarm) for place in places], "answer": said(model, found["mean"]),
        "known pictures": base, "in the tray": mine, "of the other set": theirs[p.by],
        "doubt": list(DOUBTS), "in known pictures": torch.stack([by_picture(ours[part]).mean() for part in DOUBTS]),
        "in the other set": torch.stack([theirs[part].mean() for part in DOUBTS]), "AUROC": torch.stack(apart),
        "so the other set": [easier(float(one)) for one in apart],
    }  # fmt: skip


class FaultParams(Params):
    fault: Rising = knob("turned", f"what happens to the picture, in {RUNGS - 1} rungs")
    tested: int = knob(100, "test pictures on each rung; fewer where each pixel is an answer", 16, 2000, tiny=32,
                       fold=True)  # fmt: skip


FEW: dict[Kind, int] = {"passes": 12, "networks": 10, "views": 4}
"""Answers that are asked for about each test picture on each rung."""


def climbed(images: Tensor, fault: Rising) -> list[Tensor]:
    """The images on each rung, the first as they are."""
    return [rung(images, fault, step, torch.Generator().manual_seed(0)) for step in range(RUNGS)]


def measured(kind: Kind, model: Any, p: Any, fault: Rising, step: int, bench: Bench) -> dict[str, Tensor]:
    """Share right (T,), total and epistemic doubt (T,) of the first 1 ... T answers about test pictures on a rung."""
    times = getattr(p, "dropout", 1.0)

    def work() -> dict[str, Tensor]:
        batch = test_pictures(model, p.tested, bench)
        images = rung(batch.images, fault, step, torch.Generator().manual_seed(0))
        found, truth = running(ask(kind, model, images, FEW[kind], times)), moved(truth_of(model, batch), fault, step)
        means = found.pop("mean").unbind(dim=1)
        right = torch.stack([1 - errors(mean, truth).mean() for mean in means])
        return {"right": right} | {name: each.transpose(0, 1).flatten(1).mean(dim=1) for name, each in found.items()}

    return bench.recall(work, "rung", kind, times, fault, step, p.tested)


def measured_once(kind: Kind, model: Any, p: Any, fault: Rising, step: int, bench: Bench) -> dict[str, Tensor]:
    """The same of a single answer, whose doubt is its entropy."""

    def work() -> dict[str, Tensor]:
        batch = test_pictures(model, p.tested, bench)
        images = rung(batch.images, fault, step, torch.Generator().manual_seed(0))
        answer = once(kind, model, images)
        return {"right": 1 - errors(answer, moved(truth_of(model, batch), fault, step)).mean()[None],
                "total": hesitation(answer).mean()[None]}  # fmt: skip

    return bench.recall(work, "rung", "once", kind, fault, step, p.tested)


def look_faults(kind: Kind, model: Any, p: Any, images: Tensor, bench: Bench) -> Iterator[Report]:
    """A picture on each rung, then the test pictures: what each source still gets right, and what it doubts."""
    shown = torch.cat(climbed(images, p.fault))
    found = after(told(kind, model, p, shown, bench), count_of(kind, p))
    mean, part = found["mean"], {name: by_picture(found[name]) for name in ("aleatoric", "epistemic")}
    first = mean[:1].argmax(dim=1)
    if mean.ndim == 2:
        kept = mean[:, first[0]]
    else:
        kept = torch.cat([1 - errors(mean[i : i + 1], moved(first, p.fault, i)) for i in range(RUNGS)])
    report: Report = {
        "picture": shown, "answer": said(model, mean), "still its first answer": kept,
        "nats": [f"{a:.2f} + {e:.2f}" for a, e in zip(*(part[name].tolist() for name in part), strict=True)],
    }  # fmt: skip
    yield report
    lines: dict[str, list[tuple[float, float]]] = {}
    for step in range(RUNGS):
        ways = {"a single answer": measured_once(kind, model, p, p.fault, step, bench)}
        ways |= {source: measured(source, model, p, p.fault, step, bench) for source in dict.fromkeys((kind, "views"))}
        for name, values in ways.items():
            for what, line in values.items():
                place = min(count_of(kind, p) if name == kind else len(line), len(line)) - 1
                lines.setdefault(f"{what}/{name}", []).append((float(step), float(line[place])))
        yield report | {name: torch.tensor(points) for name, points in lines.items()}


def strangers_among(kind: Kind) -> Lens:
    return Lens(
        "Strangers", with_source(StrangersParams, kind), partial(look_strangers, kind),
        (
            Pictures(
                ("tray",),
                f"Your pictures, then {SHOWN} of another set. The bar and the number: above how many of the known test "
                "pictures its doubt is; and what it would be called.",
                under=("percentile", "verdict", "place", "answer"),
            ),
            Histogram(("known pictures", "in the tray", "of the other set"),
                      "The doubt about test pictures, about those in the tray, and about all asked of the other set."),
            Table(("doubt", "in known pictures", "in the other set", "AUROC", "so the other set"),
                  "The mean of each doubt, in nats, and how often a picture of the other set raises more of it than a "
                  "known one (AUROC; 0.5 is chance). Below 0.5 the strange pictures are the easier ones: doubt tells "
                  "how hard the question is, not how new the picture. Who is asked which pixels stand out finds "
                  "characters on plain ground easier than the scenes it learned from."),
        ),
        "Put your own pictures into the tray: does it notice which are none of its kind?",
        replays=kind,
    )  # fmt: skip


def faults(kind: Kind) -> Lens:
    sources = tuple(dict.fromkeys(("a single answer", kind, "views")))
    several = tuple(dict.fromkeys((kind, "views")))
    return Lens(
        "Corruption", with_source(FaultParams, kind), partial(look_faults, kind),
        (
            Pictures(
                ("picture",),
                "The picture on each rung, and what it is called. The bar: how much is left of its first answer. "
                "Below, the doubt in nats: unclear in itself + answers disagree.",
                under=("still its first answer", "answer", "nats"),
            ),
            Curves(tuple(f"right/{name}" for name in sources), "Share right among test pictures on each rung.",
                   over="rung"),
            Curves(tuple(f"total/{name}" for name in sources), "Total doubt about them. One that grows with the "
                   "errors warns; one that falls is surest where it is most wrong.", over="rung"),
            Curves(tuple(f"epistemic/{name}" for name in several), "The part on which answers disagree.", over="rung"),
        ),
        "Make a picture worse, rung by rung: does the doubt rise as fast as the errors do?",
        takes="image", replays=kind,
    )  # fmt: skip
