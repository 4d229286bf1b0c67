"""visionarium runs compare RUN RUN [...]"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from lab.commands.output import show
from lab.runs import Run
from lab.runs.compare import FEWEST, columns, curve, differences, labels, shared, summary


def compare(given: argparse.Namespace, runs: Sequence[Run]) -> int:
    """Print what differs, where the shared numbers came to and, when asked, whether one of two is better."""
    if len({run.folder for run in runs}) < max(FEWEST, len(runs)):
        raise ValueError(f"name {FEWEST} or more different runs; got {', '.join(run.id for run in runs)}")
    if given.test and len(runs) != 2:
        raise ValueError(f"--test compares the answers of 2 runs, got {len(runs)}; name two")
    tested = test(*runs) if given.test else None
    names = labels(runs)
    knobs = {row.name: row.values for row in differences(*runs) if row.differs}
    if given.json:
        told = {"runs": [run.id for run in runs], "labels": names, "differences": knobs, "numbers": ends(runs)}
        print(json.dumps(told | ({"test": tested} if tested else {}), indent=1, ensure_ascii=False))
        return 0
    rows = [{"": knob} | dict(zip(names, values, strict=True)) for knob, values in knobs.items()]
    show(rows, False, "nothing differs in what was asked of them")
    print()
    show(ends(runs), False, "no number was reported by two of them")
    if tested:
        print(f"\nA is {names[0]}, B is {names[1]}. {tested['says']}")
    return 0


def ends(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Of each shared number and run the last value, the lowest, the highest, and their steps."""
    series = [columns(run) for run in runs]
    return [
        {"number": number, "run": name, **vars(told)}
        for number in shared(series)
        for name, one in zip(labels(runs), series, strict=True)
        if (told := summary(curve(one, number, "step"))) is not None
    ]


def test(a: Run, b: Run) -> dict[str, Any]:
    """McNemar's test of two runs' answers to the same test pictures. ValueError when they cannot be paired."""
    from engine.metrics.compare import gain_interval, mcnemar, verdict
    from lab.answers import ask, disagreement
    from lab.checkpoints import open_model
    from lab.looking import Looker

    pairs = disagreement(*(ask(Looker(open_model(run))) for run in (a, b))).pairs
    return {
        "pictures": pairs.count, "only_a_right": pairs.only_a, "only_b_right": pairs.only_b,
        "both_right": pairs.both, "both_wrong": pairs.neither, "both_wrong_differently": pairs.apart,
        "p": mcnemar(pairs.only_a, pairs.only_b), "difference": pairs.gain,
        "interval": list(gain_interval(pairs)), "says": verdict(pairs),
    }  # fmt: skip
