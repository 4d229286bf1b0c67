"""Is a model as often right as it is sure, and what is saved when it may refuse to answer?"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from engine.bench import Bench
from engine.lenses.sources import Kind, Known, count_of, errors, known, names_of, with_source
from engine.method import Curves, Lens, Params, Pictures, Report, Table, knob
from engine.metrics.calibration import expected_calibration_error as ece
from engine.metrics.calibration import fit_temperature, reliability
from engine.metrics.calibration import negative_log_likelihood as nll
from engine.metrics.doubts import answer_rows, by_picture
from engine.metrics.running import DOUBTS
from engine.metrics.uncertainty import risk_coverage

COLDEST, HOTTEST = 0.25, 4.0
TINY = 1e-12
"""Least probability whose logarithm is taken."""
SHOWN = 16
"""Pictures on either side of the cut-off."""
GROUPS = 10
"""Groups of ever more doubt, equally many pictures in each."""


class ReliabilityParams(Params):
    temperature: float = knob(0.5, "T of softmax(log p / T): below 1 the answers grow surer, above 1 more modest",
                              COLDEST, HOTTEST, log=True)  # fmt: skip
    bins: int = knob(10, "bins of confidence", 2, 20, fold=True)
    tested: int = knob(1000, "test pictures; fewer where each pixel is an answer", 16, 5000, tiny=32, fold=True)


def halves(values: Tensor, truth: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Answers (N, K, ...) and their truth as rows, of every other picture to fit on, and of those between to judge."""
    return [answer_rows(values[start::2], truth[start::2]) for start in (0, 1)]


def tempered(p: Tensor, temperature: float) -> Tensor:
    """softmax(log p / T), (N, K), of probabilities (N, K); T = 1 leaves them as they are."""
    return (p.clamp(min=TINY).log() / temperature).softmax(dim=1)


def diagram(p: Tensor, truth: Tensor, bins: int) -> Tensor:
    """(M, 2): mean confidence and share of right answers of each bin that is not empty."""
    table = reliability(p, truth, bins)
    filled = table.count > 0
    return torch.stack([table.confidence[filled], table.accuracy[filled]], dim=1)


def look_reliability(kind: Kind, model: Any, p: Any, images: None, bench: Bench) -> Report:
    """The temperature is fitted on one half of the test pictures; everything is shown on the other."""
    count = count_of(kind, p)
    tests = known(kind, model, p, p.tested, bench)
    (fit_on, right), (mean, truth) = halves(tests.after(count)["mean"], tests.truth)
    alone, _ = halves(tests.alone, tests.truth)[1]
    about = kind, getattr(p, "dropout", 1.0), p.tested, count

    def curve() -> Tensor:
        heats = torch.logspace(-2, 2, 41, base=2)
        losses = [nll(tempered(mean, heat), truth) for heat in heats.tolist()]
        return torch.stack([heats, torch.stack(losses).float().cpu()], dim=1)

    best = bench.recall(lambda: fit_temperature(fit_on.clamp(min=TINY).log(), right), "temperature", *about)
    ways = {"as it is": mean, "at the slider's temperature": tempered(mean, p.temperature),
            "at the fitted temperature": tempered(mean, best)}  # fmt: skip
    report: Report = {name: diagram(each, truth, p.bins) for name, each in ways.items()}
    rows = {"a single answer": alone} | ways
    sure = [each.amax(dim=1) for each in rows.values()]
    return report | {
        "honest": torch.tensor([[0.0, 0.0], [1.0, 1.0]]),
        "NLL at a temperature": bench.recall(curve, "NLL", *about), "slider": p.temperature,
        "answer": list(rows), "temperature": torch.tensor([1.0, 1.0, p.temperature, best]),
        "ECE": torch.stack([ece(each, truth, p.bins) for each in rows.values()]),
        "NLL": torch.stack([nll(each, truth) for each in rows.values()]),
        "is sure of": torch.stack([each.mean() for each in sure]),
        "is right in": torch.stack([(each.argmax(dim=1) == truth).float().mean() for each in rows.values()]),
    }  # fmt: skip


class RefusalParams(Params):
    answered: float = knob(0.8, "share of the test pictures that it still answers; the rest it hands over", 0.02, 1.0)
    by: Literal["total", "aleatoric", "epistemic"] = knob("total", "the doubt by which it refuses")
    tested: int = knob(1000, "test pictures; fewer where each pixel is an answer", 16, 5000, tiny=32, fold=True)


def split(doubt: Tensor, answered: float) -> tuple[Tensor, Tensor]:
    """Positions of the pictures of the least doubt (N,), which are kept, and of the others, which are refused.

    Kept are round(answered * N), one at least, and not all where not all are wanted; in the order of falling doubt.
    Refused are in that of rising doubt: both begin at the cut.
    """
    order = doubt.argsort(stable=True)
    kept = max(1, min(round(answered * len(doubt)), len(doubt) - (answered < 1)))
    return order[:kept].flip(0), order[kept:]


def by_doubt(doubt: Tensor, wrong: Tensor) -> Tensor:
    """(M, 2): mean doubt and share of errors of up to `GROUPS` groups of rising doubt, equally large but for one."""
    order = doubt.argsort(stable=True)
    groups = order.tensor_split(min(GROUPS, len(order)))
    return torch.stack([torch.stack([doubt[g].double().mean(), wrong[g].mean()]) for g in groups])


def words(model: Any, tests: Known, mean: Tensor, wrong: Tensor, rows: Tensor) -> tuple[list[str], list[str]]:
    """What each of the pictures `rows` was called, and whether that is right."""
    names = names_of(model)
    if mean.ndim > 2:
        return [f"{1 - wrong[i]:.0%} of its pixels" for i in rows.tolist()], ["are right"] * len(rows)
    called = [names[c] for c in mean[rows].argmax(dim=1).tolist()]
    truth = [names[c] for c in tests.truth[rows].tolist()]
    verdicts = ["right" if one == other else f"is {other}" for one, other in zip(called, truth, strict=True)]
    return called, verdicts


def look_refusal(kind: Kind, model: Any, p: Any, images: None, bench: Bench) -> Report:
    """The error on what is still answered, when the pictures of the most doubt are handed to somebody else."""
    tests = known(kind, model, p, p.tested, bench)
    now = tests.after(count_of(kind, p))
    wrong = errors(now["mean"], tests.truth)
    doubt = {name: by_picture(now[name]) for name in DOUBTS}
    kept, refused = split(doubt[p.by], p.answered)
    report: Report = {name: torch.stack(risk_coverage(each, wrong), dim=1) for name, each in doubt.items()}
    report["perfect"] = torch.stack(risk_coverage(wrong, wrong), dim=1)
    for name, rows in (("kept", kept), ("refused", refused)):
        if not len(rows):
            continue
        called, truly = words(model, tests, now["mean"], wrong, rows[:SHOWN])
        report |= {name: tests.images[rows[:SHOWN]], f"{name} called": called, f"{name} truly": truly}
    groups = {"answered": kept, "refused": refused, "all": torch.arange(len(wrong), device=wrong.device)}
    return report | {
        "cut": len(kept) / len(wrong), "threshold": float(doubt[p.by][kept[0]]),
        "wrong at this doubt": by_doubt(doubt[p.by], wrong),
        "which": list(groups), "pictures": torch.tensor([len(each) for each in groups.values()]),
        "wrong": torch.stack([wrong[each].sum() for each in groups.values()]),
        "share wrong": torch.stack([wrong[each].mean() if len(each) else wrong.sum() * 0 for each in groups.values()]),
    }  # fmt: skip


def reliable(kind: Kind) -> Lens:
    return Lens(
        "Reliability", with_source(ReliabilityParams, kind), partial(look_reliability, kind),
        (
            Curves(
                ("as it is", "at the slider's temperature", "at the fitted temperature", "honest"),
                "How often it is right among answers of a confidence. Below the honest diagonal it is too sure, above "
                "it too modest.",
                over="how sure it is",
            ),
            Table(
                ("answer", "temperature", "ECE", "NLL", "is sure of", "is right in"),
                "The gap between confidence and truth (ECE), and the cross-entropy (NLL): lower is better. A "
                "temperature changes how sure it is, never what it says.",
            ),
            Curves(
                ("NLL at a temperature",),
                "Cross-entropy at every temperature, and where the slider stands. The best one was fitted on pictures "
                "that are not among these.",
                over="temperature", mark="slider",
            ),
        ),
        "Is it right as often as it is sure? Drag the temperature until it is.", takes="nothing",
        replays=kind,
    )  # fmt: skip


def refusing(kind: Kind) -> Lens:
    return Lens(
        "Refusal", with_source(RefusalParams, kind), partial(look_refusal, kind),
        (
            Curves(
                ("total", "aleatoric", "epistemic", "perfect"),
                "Share wrong among those it still answers, by which doubt it refuses. To the left it answers only what "
                "it is surest of; the line is the cut-off.",
                over="share answered", mark="cut",
            ),
            Table(("which", "pictures", "wrong", "share wrong"), "What the cut-off does to the test pictures."),
            Pictures(("refused",), f"Refused: the {SHOWN} nearest to the cut, and what it would have called them.",
                     under=("refused called", "refused truly")),
            Pictures(("kept",), f"Answered: the {SHOWN} nearest to the cut.", under=("kept called", "kept truly")),
            Curves(("wrong at this doubt",), "Ten equal groups of rising doubt, and how many of each are wrong: doubt "
                   "is worth something where this rises. The line is the cut-off.", over="doubt in nats",
                   mark="threshold"),
        ),
        "Let it hand over the pictures it doubts: drag the cut-off, and see which those are and what that saves.",
        takes="nothing", replays=kind,
    )  # fmt: skip
