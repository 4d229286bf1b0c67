"""visionarium receipts [METHOD ...]"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from engine import catalog
from lab.commands.output import show

if TYPE_CHECKING:
    from engine.receipts import Receipt


def add(commands: Any) -> None:
    command = commands.add_parser("receipts", help="the papers' claims, measured here")
    command.add_argument("methods", metavar="METHOD", nargs="*", help="all, when none is named")
    command.add_argument("--measure", action="store_true", help="measure anew (minutes a method)")
    command.add_argument("--seeds", type=int, default=3, help="paired seeds to measure over (3)")
    command.add_argument("--json", action="store_true", help="every single outcome")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    from engine import receipts

    if not 1 <= given.seeds <= 100:
        raise ValueError(f"--seeds {given.seeds} cannot be; allowed is 1 to 100")
    chosen = [catalog.card(id).id for id in given.methods] or catalog.ids()
    if given.measure:
        for id in chosen:
            receipts.measure(id, given.seeds, told=lambda line: print(line, file=sys.stderr, flush=True))
    found = {id: receipts.read(id) for id in chosen}
    if given.json:
        show([{**asdict(one), "verdict": one.verdict} for one in found.values() if one], True)
    else:
        show([row(id, one) for id, one in found.items()], False, "there is no method yet")
    return 0


def row(id: str, receipt: Receipt | None) -> dict[str, Any]:
    if receipt is None:
        empty = dict.fromkeys(("figure", "arms", "baseline", "beaten", "CPU-s", "date", "code"))
        return {"method": id, **empty, "verdict": f"not measured yet: visionarium receipts {id} --measure"}
    from engine.receipts import fingerprint

    arms = [f"{arm} {spread([one.figure for one in outcomes])}" for arm, outcomes in receipt.arms.items()]
    baseline = statistics.fmean(one.baseline for one in next(iter(receipt.arms.values())))
    return {
        "method": id,
        "figure": receipt.figure,
        "arms": " | ".join(arms),
        "baseline": f"{receipt.baseline} {baseline:.3g}",
        "beaten": receipt.beats_baseline,
        "CPU-s": round(receipt.seconds),
        "date": receipt.date,
        "code": "as measured" if fingerprint(id) == receipt.code else "changed since",
        "verdict": receipt.verdict,
    }


def spread(figures: list[float]) -> str:
    mean = f"{statistics.fmean(figures):.3g}"
    return f"{mean} ± {statistics.stdev(figures):.2g}" if len(figures) > 1 else mean
