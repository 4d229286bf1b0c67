"""visionarium runs VERB: see, order, end, continue, tidy and bring in runs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from lab.commands import housekeeping
from lab.commands.compare import compare
from lab.commands.output import show, text
from lab.home import ID
from lab.runs import Run, all_runs, find
from lab.runs.housekeeping import check_dependents
from lab.runs.line import LINES
from lab.runs.queue import WHERE, queue, set_limit
from lab.runs.run import resume

VERBS = {
    "cancel": "save and end",
    "pause": "save, free the device, keep the place in the line",
    "resume": "go on from the last checkpoint",
    "hold": "let waiting runs wait until they are released",
    "release": "let held or hurried runs wait for their turn again",
    "now": "start waiting runs before all others, as soon as the device is free",
    "delete": "throw the folder away",
}

WAITS = {"turn": "its turn", "hold": "release", "now": "a free place", "beside": "any place"}


def add(commands: Any) -> None:
    command = commands.add_parser("runs", help="the runs: list, look into, end and continue them")
    verbs = command.add_subparsers(metavar="VERB", required=True)
    one = verbs.add_parser("list", help="all runs, newest first")
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=list_runs)
    one = verbs.add_parser("show", help="one run: its knobs, newest numbers, files and log")
    one.add_argument("target", metavar="RUN", help="an id, a run's folder, or last")
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=show_run)
    one = verbs.add_parser("queue", help="the runs that wait, line by line, in the order in which they will start")
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=list_queue)
    one = verbs.add_parser("move", help="give a waiting run another place among those of its visitor")
    one.add_argument("target", metavar="RUN", help="an id, a run's folder, or last")
    one.add_argument("where", choices=WHERE, help="one place earlier, one later, or before all")
    one.set_defaults(run=move_run)
    one = verbs.add_parser("limit", help="how many runs of one visitor may run at once")
    one.add_argument("line", choices=LINES)
    one.add_argument("most", metavar="N", help="a number, or none: as many as the line has places")
    one.set_defaults(run=limit)
    one = verbs.add_parser("compare", help="runs side by side: knobs that differ, where each number came to")
    one.add_argument("targets", metavar="RUN", nargs="+", help="two or more: an id, a run's folder, or last")
    one.add_argument("--json", action="store_true")
    one.add_argument("--test", action="store_true", help="ask two that classify about the same test pictures")
    one.set_defaults(run=lambda given: compare(given, [run_of(target) for target in given.targets]))
    one = verbs.add_parser("film", help="a run's time machine as an animation: map, curves and pictures over its steps")
    one.add_argument("target", metavar="RUN", help="an id, a run's folder, or last")
    one.add_argument("--out", type=Path, required=True, metavar="FILE", help="ends in .gif, .webp or .png (animated)")
    one.add_argument("--dark", action="store_true", help="light on dark")
    one.set_defaults(run=film_run)
    for verb, meaning in VERBS.items():
        one = verbs.add_parser(verb, help=meaning)
        one.add_argument("targets", metavar="RUN", nargs="+", help="an id, a run's folder, or last")
        if verb == "delete":
            one.add_argument("--yes", action="store_true", help="do not ask")
            one.add_argument("--needed", action="store_true", help="even what another run or a sweep needs")
        if verb == "now":
            one.add_argument("--beside", action="store_true", help="at once, beside what runs: both share the device")
        one.set_defaults(run=act, verb=verb)
    housekeeping.add(verbs)


def run_of(target: str) -> Run:
    """The run that a person means: an id, a folder, or the newest as "last". ValueError when there is none."""
    if target == "last":
        runs = all_runs()
        if not runs:
            raise ValueError("there is no run yet; start one: visionarium train METHOD")
        return runs[0]
    if not ID.fullmatch(target) and (Path(target) / "run.json").is_file():
        return Run(Path(target).absolute())
    return find(target)


def list_runs(given: argparse.Namespace) -> int:
    show([row(run) for run in all_runs()], given.json, "there is no run yet; start one: visionarium train METHOD")
    return 0


def row(run: Run) -> dict[str, Any]:
    told = run.told
    return {
        "id": run.id,
        "method": run.plan.method,
        "state": run.state,
        "step": told.get("step", 0),
        "steps": told.get("steps"),
        "started": time.strftime("%Y-%m-%d %H:%M", time.localtime(run.plan.created)),
        "name": run.plan.name,
        "cause": run.cause,
    }


def list_queue(given: argparse.Namespace) -> int:
    rows = []
    for waiting in queue():
        run = Run(waiting.folder)
        rows.append({
            "line": waiting.line, "position": waiting.position, "id": run.id, "method": run.plan.method,
            "waits for": WAITS[waiting.ticket.wants],
            "visitor": waiting.ticket.visitor, "name": run.plan.name,
        })  # fmt: skip
    show(rows, given.json, "no run waits")
    return 0


def move_run(given: argparse.Namespace) -> int:
    run = run_of(given.target)
    run.move(given.where)
    print(f"{run.id} {place(run)}")
    return 0


def place(run: Run) -> str:
    """Where a run stands, in words."""
    state = run.state
    waiting = next((one for one in queue() if one.folder == run.folder), None)
    if waiting is None or state != "queued":
        return state
    return f"is number {waiting.position} in the line of {waiting.line}" if waiting.position else "is held"


def limit(given: argparse.Namespace) -> int:
    if given.most != "none" and not given.most.isdecimal():
        raise ValueError(f"{given.most!r} is no number of runs; give a number, or none")
    set_limit(given.line, None if given.most == "none" else int(given.most))
    print(f"{given.line}: {given.most} at once for each visitor")
    return 0


def show_run(given: argparse.Namespace) -> int:
    run = run_of(given.target)
    last = (run.series() or [{}])[-1]
    found = row(run) | {
        "hint": run.hint,
        "folder": str(run.folder),
        "device": run.told.get("device"),
        "peak_mb": run.told.get("peak_mb"),
        "seconds": last.get("time", 0.0),
        "numbers": {name: value for name, value in last.items() if name not in ("step", "time")},
        "checkpoints": [step for step, _ in run.checkpoints()],
        "pictures": [step for step, _ in run.media()],
        "knobs": dict(run.plan.values),
        "setup": dict(run.plan.setup),
        "log": run.log_tail(10),
    }
    if given.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return 0
    for name, value in found.items():
        if isinstance(value, dict):
            value = [f"{key} {item:.6g}" if isinstance(item, float) else f"{key} {item}" for key, item in value.items()]
        lines = value if name in ("numbers", "knobs", "setup", "log") else [text(value)]
        print(f"{name:12}" + f"\n{'':12}".join(lines))
    return 0


def film_run(given: argparse.Namespace) -> int:
    from lab.film import film

    kind = given.out.suffix.lower().lstrip(".")
    if kind not in ("gif", "webp", "png"):
        raise ValueError(f"--out: {given.out} is no kind of film; end it in .gif, .webp or .png")
    given.out.write_bytes(film(run_of(given.target), kind, given.dark))
    print(f"{given.out}: {given.out.stat().st_size:,} bytes")
    return 0


def act(given: argparse.Namespace) -> int:
    runs = [run_of(target) for target in given.targets]
    if given.verb == "resume":
        resume(*runs)
    if given.verb == "delete" and not given.needed:
        check_dependents(run.id for run in runs)
    for run in runs:
        if given.verb == "delete" and not given.yes and sys.stdin.isatty():
            answer = input(f"delete run {run.id} ({run.plan.method}, {run.told.get('step', 0)} steps)? [y/N] ")
            if answer.strip().lower() not in ("y", "yes"):
                print(f"{run.id} kept")
                continue
        if given.verb == "now":
            run.now(given.beside)
        elif given.verb != "resume":
            getattr(run, given.verb)()
        print(f"{run.id} {'deleted' if given.verb == 'delete' else place(run)}")
    return 0
