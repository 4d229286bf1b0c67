"""visionarium export RUN --format script | notebook | run"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

SUFFIXES = {"script": ".py", "notebook": ".ipynb", "run": ".zip"}


def add(commands: Any) -> None:
    command = commands.add_parser("export", help="take a run along: as a script, a notebook, or one file")
    command.add_argument("target", metavar="RUN", help="an id, a run's folder, or last")
    command.add_argument(
        "--format", choices=list(SUFFIXES), required=True,
        help="script, notebook: code that trains it anew without the lab; run: all, for `visionarium runs import`",
    )  # fmt: skip
    command.add_argument("--out", type=Path, metavar="FILE", help="where to write (the run's id, here)")
    command.add_argument("--without-checkpoints", action="store_true", help="only with --format run: much smaller")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    from lab.commands.runs import run_of
    from lab.share import archive

    found = run_of(given.target)
    out = given.out or Path(found.id + SUFFIXES[given.format])
    if given.format == "run":
        lives = found.live
        size = archive.export(found, out, not given.without_checkpoints)
        print(f"{out}: {size / 1e6:.1f} MB; bring it in elsewhere: visionarium runs import {out.name}")
        if lives:
            print("the run goes on; the copy holds it as it was just now, paused", file=sys.stderr)
        return 0
    if given.without_checkpoints:
        raise ValueError("--without-checkpoints goes with --format run; a script holds none")
    from lab.share.script import notebook, script

    text = script(found) if given.format == "script" else notebook(found)
    archive.write(out, iter([text.encode()]))
    print(f"{out}: trains {found.plan.method} anew with the engine alone")
    return 0
