"""visionarium bench"""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    command = commands.add_parser("bench", help="how fast the engine is here, beside others that do the same")
    command.add_argument(
        "what", nargs="?", choices=["augment", "representation"], default="augment",
        help="augmentations, beside torchvision and kornia; or learning without labels, beside lightly",
    )  # fmt: skip
    command.add_argument("--batch", type=int, help="images a batch (256 on a GPU, fewer on a CPU)")
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    from dataclasses import asdict

    from lab.commands.output import show as show_rows

    if given.what == "augment":
        from engine.timings import augment

        timed, ratios = augment.table(given.batch), ("over_torchvision", "over_kornia")
        told = "" if given.json else augment.show(timed)
        rows = [asdict(row) | {name: getattr(row, name) for name in ratios} for row in timed]
    else:
        from engine.timings import representation

        steps = representation.table(given.batch)
        told = "" if given.json else representation.show(steps)
        rows = [asdict(row) | {"ratio": row.ratio} for row in steps]
    if given.json:
        show_rows(rows, True)
    else:
        print(told)
    return 0
