"""visionarium bench"""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    command = commands.add_parser("bench", help="how fast the augmentations are here, beside torchvision and kornia")
    command.add_argument("what", nargs="?", choices=["augment"], default="augment")
    command.add_argument("--batch", type=int, help="images a batch (256 on a GPU, fewer on a CPU)")
    command.add_argument("--json", action="store_true")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    from dataclasses import asdict

    from engine.augment.timings import show, table
    from lab.commands.output import show as show_rows

    rows = table(given.batch)
    if given.json:
        ratios = [{"over_torchvision": row.over_torchvision, "over_kornia": row.over_kornia} for row in rows]
        show_rows([asdict(row) | ratio for row, ratio in zip(rows, ratios, strict=True)], True)
    else:
        print(show(rows))
    return 0
