"""visionarium runs disk | thin | import: what runs take, what may go, and runs that come from elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lab.commands.output import show


def add(verbs: Any) -> None:
    one = verbs.add_parser("disk", help="what the runs take on the disk, the largest first")
    one.add_argument("--json", action="store_true", help="in bytes")
    one.set_defaults(run=disk)
    one = verbs.add_parser("thin", help="delete a run's checkpoints but the last ones and the best")
    one.add_argument("targets", metavar="RUN", nargs="+", help="an id, a run's folder, or last")
    one.add_argument("--keep-last", type=int, default=1, metavar="N", help="how many of the newest stay (1)")
    one.add_argument(
        "--keep-best", metavar="FIGURE", help="a reported number, such as accuracy, accuracy:max, loss:min"
    )
    one.set_defaults(run=thin)
    one = verbs.add_parser("import", help="bring in a run that was exported as one file")
    one.add_argument("file", type=Path, metavar="FILE")
    one.add_argument("--as-copy", action="store_true", help="under a new id, beside the run of the same id")
    one.set_defaults(run=bring)


def disk(given: argparse.Namespace) -> int:
    from lab.runs import all_runs
    from lab.runs.housekeeping import Use, use

    uses = sorted(((run, use(run.folder)) for run in all_runs()), key=lambda pair: -pair[1].total)
    rows: list[dict[str, Any]] = [
        {"id": run.id, "method": run.plan.method, **vars(used), "total": used.total} for run, used in uses
    ]
    if given.json:
        show(rows, True)
        return 0
    whole = sum((used for _, used in uses), Use())
    rows.append({"id": f"all {len(uses)}", "method": "", **vars(whole), "total": whole.total})
    show([{name: size(value) for name, value in row.items()} for row in rows], False)
    return 0


def size(value: Any) -> Any:
    """Bytes in megabytes; anything else as it is."""
    return f"{value / 1e6:.1f} MB" if isinstance(value, int) else value


def thin(given: argparse.Namespace) -> int:
    from engine.best import Figure
    from lab.commands.runs import run_of
    from lab.runs import housekeeping

    best = Figure.read(given.keep_best) if given.keep_best else None
    for run in [run_of(target) for target in given.targets]:
        before = housekeeping.use(run.folder).checkpoints
        gone = housekeeping.thin(run, given.keep_last, best)
        freed = before - housekeeping.use(run.folder).checkpoints
        print(f"{run.id} {len(gone)} checkpoints deleted, {len(run.checkpoints())} kept, {freed / 1e6:.1f} MB freed")
    return 0


def bring(given: argparse.Namespace) -> int:
    from lab.share.bring import bring

    run = bring(given.file, given.as_copy)
    print(f"{run.id} {run.state}, {run.plan.method}: visionarium runs show {run.id}")
    return 0
