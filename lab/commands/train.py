"""visionarium train METHOD"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import catalog
from engine.folder import EXIT
from lab.commands.runs import run_of
from lab.home import login_name
from lab.runs import LIVE, Run, Series, check, start
from lab.runs.executors import attached
from lab.runs.preflight import Checking, facts, verdict
from lab.runs.queue import queue
from lab.runs.run import plan

if TYPE_CHECKING:
    from engine.bench import Setup
    from engine.params import Params

OWN = """\
  --preset {tiny,demo,paper}   the knobs to start from (demo)
  --out DIR                    keep the run there instead of in the lab's home
  --name TEXT                  a name for the list of runs
  --detach                     return at once; the run goes on by itself
  --check                      do not train: say what it would need, and when it would end
  --json                       with --check: for a program"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "train", help="train a method", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"Train a method. Ctrl-C saves and ends; a closed terminal ends nothing.\n\n{OWN}\n"
        "  --KNOB VALUE                 any knob: visionarium train METHOD --help",
        usage="visionarium train METHOD ...\n       visionarium train --from RUN ...",
    )  # fmt: skip
    command.add_argument("method", metavar="METHOD", nargs="?", default="", help="see: visionarium methods")
    command.add_argument(
        "--from", metavar="RUN ...", dest="source", nargs=argparse.REMAINDER, default=[],
        help="in place of a method: as this run (an id, its folder, or last), but for the flags that follow",
    )  # fmt: skip
    command.add_argument("flags", metavar="...", nargs=argparse.REMAINDER, help="the flags above")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    source, flags = None, given.flags
    if given.source:
        source, flags = run_of(given.source[0]), given.source[1:]
    elif not given.method:
        raise ValueError("name a METHOD (see: visionarium methods), or a run: --from RUN")
    if "RANK" in os.environ:
        raise ValueError("each rank of torchrun would plan a run of its own; use: torchrun ... -m engine METHOD")
    card = catalog.card(source.plan.method if source else given.method)
    own = argparse.ArgumentParser(f"visionarium train {card.id}", add_help=False, allow_abbrev=False)
    own.add_argument("--out", type=Path)
    own.add_argument("--name", default="")
    for name in ("--detach", "--check", "--json"):
        own.add_argument(name, action="store_true")
    asked, rest = own.parse_known_args(flags)
    params, setup = knobs(card, rest, source)
    if asked.check:
        return check_first(card.id, params, setup, asked.json)
    if asked.json:
        raise ValueError("--json goes with --check; a run's numbers are had by: visionarium runs show RUN --json")
    check(params, setup)
    what: dict[str, Any] = {
        "name": asked.name, "folder": asked.out, "visitor": login_name(), "cloned_from": source.id if source else "",
    }  # fmt: skip
    if asked.detach:
        planned = start(card.id, params, setup, **what)
        print(planned.id if asked.out is None else planned.folder)
        return 0
    planned = plan(card.id, params, setup, **what)
    return follow(planned, attached(planned.folder))


def knobs(card: catalog.Card, flags: list[str], source: Run | None) -> tuple[Params, Setup]:
    """What the flags ask, on top of a preset or of the run `source`. ValueError or exit code 2 when it cannot be."""
    from engine.bench import Setup
    from engine.flags import parse, take_preset

    params = catalog.method(card.id).params
    if source is None:
        preset, flags = take_preset(flags)
        start, setup = params.make({}, preset), Setup()
    else:
        start, setup = params.make(source.plan.values), Setup.make(source.plan.setup)
    given = parse(
        f"visionarium train {card.id}", flags, f"{card.title}. {' '.join(card.idea.split())}\n\n{OWN}",
        params=start, setup=setup,
    )  # fmt: skip
    return given.params, given.setup


def check_first(id: str, params: Params, setup: Setup, as_json: bool) -> int:
    """Say what a run would need and when it would end. 2 when it would fail."""
    checking = Checking(id, params, setup)
    try:
        found = checking.wait()
    except KeyboardInterrupt:
        checking.stop()
        raise
    if as_json:
        print(json.dumps(asdict(found) | {"ok": found.ok, "says": verdict(found)}, indent=1, ensure_ascii=False))
        return 0 if found.ok else 2
    for name, says in facts(found, time.time()).items():
        print(f"{name:15}{says}")
    for problem in found.problems:
        print(f"{'problem':15}{problem}")
    for remark in found.remarks:
        print(f"{'remark':15}{remark}")
    print(verdict(found))
    return 0 if found.ok else 2


def follow(run: Run, supervisor: subprocess.Popen[bytes]) -> int:
    """Show the run with a bar until its supervisor has ended. Returns its exit code."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _watch(run, supervisor)
    except KeyboardInterrupt:
        if run.state in LIVE:
            run.cancel()
            print("\nsaving and ending; Ctrl-C again leaves it to itself", file=sys.stderr)
        try:
            supervisor.wait()
        except KeyboardInterrupt:
            print(f"it ends by itself: visionarium runs show {_name(run)}", file=sys.stderr)
            return EXIT["cancelled"]
    finally:
        signal.signal(signal.SIGTERM, before)
    if supervisor.returncode == 2 and supervisor.stderr:
        raise ValueError(supervisor.stderr.read().decode().strip())
    return report(run)


def _watch(run: Run, supervisor: subprocess.Popen[bytes]) -> None:
    from tqdm import tqdm

    series = Series(run.folder)
    with tqdm(desc=run.plan.method, unit="step", disable=None, file=sys.stderr, dynamic_ncols=True) as bar:
        while supervisor.poll() is None:
            state, rows = run.state, series.read()
            bar.total = run.told.get("steps")
            bar.set_description_str(
                run.plan.method if state == "running" else f"{run.plan.method}: {_where(run, state)}"
            )
            if rows:
                bar.update(rows[-1]["step"] - bar.n)
                bar.set_postfix({name: f"{value:.3g}" for name, value in _numbers(rows[-1]).items()}, refresh=False)
            bar.refresh()
            time.sleep(0.2)
        if rows := series.read():
            bar.update(rows[-1]["step"] - bar.n)


def _where(run: Run, state: str) -> str:
    if state != "queued":
        return state
    place = next((one for one in queue() if one.folder == run.folder), None)
    if place is None or place.position == 1:
        return "waits for the device"
    return f"waits for the device, {place.position - 1} before it" if place.position else "held in the line"


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    """The first four numbers of a row; step and time are shown otherwise."""
    numbers = {name: value for name, value in row.items() if name not in ("step", "time") and value is not None}
    return dict(list(numbers.items())[:4])


def report(run: Run) -> int:
    """Say how it ended, with the way on."""
    from engine.showcase import slug

    state, step = run.state, run.told.get("step", 0)
    if state == "done":
        print(f"done after {step} steps: {run.folder}")
        if lenses := catalog.method(run.plan.method).lenses:
            lens = slug(lenses[0].name)
            print(f"look: visionarium look {_name(run)} {lens} --out {lens}.png")
    elif state in ("paused", "cancelled"):
        print(f"{state} after {step} steps: {run.folder}" + (f" ({run.cause})" if run.cause else ""))
        print(f"go on: visionarium runs resume {_name(run)}")
    else:
        print(f"{state} after {step} steps: {run.cause}. {run.hint}".rstrip(), file=sys.stderr)
        for name, value in (run.told.get("instead") or {}).items():
            flag = name.replace("_", "-")
            print(f"again: visionarium train --from {_name(run)} --{flag} {shlex.quote(str(value))}", file=sys.stderr)
        print(f"log: {run.folder / 'log.txt'}", file=sys.stderr)
    return EXIT.get(state, 1)


def _name(run: Run) -> str:
    from lab.home import runs_folder

    return run.id if run.folder.parent == runs_folder() else str(run.folder)
