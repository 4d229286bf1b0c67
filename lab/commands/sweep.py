"""visionarium sweep METHOD --grid knob=values … | list | show | stop | resume | keep | delete"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import catalog
from lab.commands.output import show, text
from lab.home import login_name

if TYPE_CHECKING:
    from lab.runs.sweep import Sweep

OWN = """\
  --grid KNOB=VALUES …         what is tried: n=1,2,3   m=3:30:3   lr=1e-4..1e-2x3   flag=true,false
  --seeds N                    runs of each cell, with seeds from --seed on (1)
  --figure NAME                the number that is compared (the one of the method's claim)
  --better {higher,lower}      which way it is better (as the claim says, else lower for losses and errors)
  --take {last,best}           which of a run's values counts (last)
  --preset {tiny,demo,paper}   the knobs to start from (demo)
  --name TEXT                  a name for the lists
  --follow                     show the table until all runs are at rest; Ctrl-C leaves them to themselves"""
USAGE = """\
visionarium sweep METHOD --grid KNOB=VALUES … [--seeds N] [--KNOB VALUE …]
       visionarium sweep list [--json]
       visionarium sweep show SWEEP [--json] [--follow]
       visionarium sweep stop SWEEP
       visionarium sweep resume SWEEP [--follow]
       visionarium sweep keep SWEEP FILE [--also FIGURE …]
       visionarium sweep delete SWEEP [--yes] [--needed]"""
EXAMPLE = """\
RandAugment's N and M over two sizes of the network and of the data, 36 runs:
  visionarium sweep augmentation.randaugment --grid n=1,2,3 m=3,9,15 width=8,24 train_images=500,2000"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "sweep", help="train a grid of knobs and compare", usage=USAGE, epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train a method at each cell of a grid: ordinary runs in the ordinary line, compared by one "
        f"figure.\n\n{OWN}\n  --KNOB VALUE                 any other knob: visionarium sweep METHOD --help",
    )  # fmt: skip
    command.add_argument("what", metavar="METHOD", help="see: visionarium methods")
    command.add_argument("flags", metavar="...", nargs=argparse.REMAINDER, help="the flags above")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    verbs: dict[str, Callable[[Sequence[str]], int]] = {
        "list": list_sweeps, "show": show_sweep, "stop": stop, "resume": resume, "keep": keep, "delete": delete,
    }  # fmt: skip
    return verbs[given.what](given.flags) if given.what in verbs else begin(given.what, given.flags)


def begin(id: str, flags: Sequence[str]) -> int:
    """Start a sweep of the method `id`."""
    card = catalog.card(id)
    own = argparse.ArgumentParser(f"visionarium sweep {card.id}", add_help=False, allow_abbrev=False)
    own.add_argument("--grid", nargs="+", action="extend", default=[])
    own.add_argument("--seeds", type=int, default=1)
    own.add_argument("--figure", default="")
    own.add_argument("--better", choices=("higher", "lower"))
    own.add_argument("--take", choices=("last", "best"), default="last")
    own.add_argument("--name", default="")
    own.add_argument("--follow", action="store_true")
    asked, rest = own.parse_known_args(flags)
    from engine.bench import Setup
    from engine.flags import parse, take_preset
    from lab.runs.grid import parse_grid
    from lab.runs.sweep import plan_sweep

    preset, rest = take_preset(rest)
    params = catalog.method(card.id).params
    knobs = parse(
        f"visionarium sweep {card.id}", rest, f"{card.title}. {' '.join(card.idea.split())}\n\n{OWN}",
        params=params.make({}, preset), setup=Setup(),
    )  # fmt: skip
    sweep = plan_sweep(
        card.id, knobs.params, knobs.setup, parse_grid(asked.grid, params.knobs()), seeds=asked.seeds,
        figure=asked.figure, higher=None if asked.better is None else asked.better == "higher", take=asked.take,
        name=asked.name, visitor=login_name(),
    )  # fmt: skip
    print(sweep.id, flush=True)
    return go_on(sweep, asked.follow)


def go_on(sweep: Sweep, follows: bool) -> int:
    """Make what is missing of a sweep, with a bar on a terminal."""
    from tqdm import tqdm

    with tqdm(desc=sweep.id, total=len(sweep.plan.runs), unit="run", disable=None, leave=False) as bar:
        sweep.resume(told=lambda run: bar.update(1))
    if follows:
        return follow(sweep)
    print(f"watch: visionarium sweep show {sweep.id} --follow", file=sys.stderr)
    return 0


def sweep_of(target: str) -> Sweep:
    """The sweep that a person means: an id, or the newest as "last". ValueError when there is none."""
    from lab.runs.sweep import all_sweeps, find_sweep

    if target != "last":
        return find_sweep(target)
    newest = next(all_sweeps(), None)
    if newest is None:
        raise ValueError("there is no sweep yet; start one: visionarium sweep METHOD --grid lr=0.001,0.003")
    return newest


def list_sweeps(flags: Sequence[str]) -> int:
    own = argparse.ArgumentParser("visionarium sweep list", description="All sweeps, newest first.")
    own.add_argument("--json", action="store_true")
    asked = own.parse_args(flags)
    from lab.runs.sweep import all_sweeps

    rows = [row(sweep) for sweep in all_sweeps()]
    show(rows, asked.json, "there is no sweep yet; start one: visionarium sweep METHOD --grid lr=0.001,0.003")
    return 0


def row(sweep: Sweep) -> dict[str, Any]:
    from lab.runs.grid import as_words

    plan, states = sweep.plan, Counter(run.state if run else "missing" for run in sweep.runs)
    return {
        "id": sweep.id,
        "method": plan.method,
        "state": sweep.standing,
        "done": states["done"],
        "runs": len(plan.runs),
        "grid": " ".join(as_words(plan.grid)),
        "seeds": plan.seeds,
        "started": time.strftime("%Y-%m-%d %H:%M", time.localtime(plan.created)),
        "name": plan.name,
    }


def show_sweep(flags: Sequence[str]) -> int:
    own = argparse.ArgumentParser("visionarium sweep show", description="One sweep, cell by cell.")
    own.add_argument("target", metavar="SWEEP", help="an id, or last")
    own.add_argument("--json", action="store_true")
    own.add_argument("--follow", action="store_true", help="until all runs are at rest")
    asked = own.parse_args(flags)
    sweep = sweep_of(asked.target)
    if asked.follow:
        return follow(sweep)
    if asked.json:
        plan = sweep.plan
        more = {"figure": plan.figure, "higher": plan.higher, "take": plan.take, "knobs": plan.values,
                "setup": plan.setup, "grid": plan.grid, "cells": table(sweep)}  # fmt: skip
        print(json.dumps(row(sweep) | more, indent=1, ensure_ascii=False))
    else:
        print(page(sweep))
    return 0


def table(sweep: Sweep) -> list[dict[str, Any]]:
    """A row a cell."""
    from lab.runs.cells import best, cells

    found = cells(sweep)
    first = best(found, sweep.plan.higher)
    return [
        dict(cell.place) | {
            sweep.plan.figure: cell.mean, "spread": cell.deviation, "done": f"{len(cell.figures)}/{sweep.plan.seeds}",
            "state": cell.state, "progress": round(cell.progress, 3), "best": cell is first,
            "runs": [run.id for run in cell.runs if run], "cause": cell.cause,
        }
        for cell in found
    ]  # fmt: skip


def page(sweep: Sweep) -> str:
    """The sweep as a terminal shows it."""
    head, rows = row(sweep), []
    for cell in table(sweep):
        figure = "" if cell[sweep.plan.figure] is None else text(cell[sweep.plan.figure])
        if len(cell["runs"]) > 1 and figure:
            figure += f" ± {cell['spread']:.2g}"
        state = cell["state"] if cell["state"] != "running" else f"running {cell['progress']:.0%}"
        shown = {name: text(cell[name]) for name in sweep.plan.grid}
        rows.append(shown | {sweep.plan.figure: figure + (" best" if cell["best"] else ""), "done": cell["done"],
                             "state": state, "runs": " ".join(cell["runs"]), "cause": cell["cause"]})  # fmt: skip
    names = list(rows[0])
    wide = {name: max(len(name), *(len(line[name]) for line in rows)) for name in names}
    lines = [dict(zip(names, names, strict=True)), *rows]
    better = "higher" if sweep.plan.higher else "lower"
    return "\n".join([
        f"{sweep.id}  {head['method']}  {head['name']}".rstrip(),
        f"{head['state']}: {head['done']} of {head['runs']} runs done; {better} {sweep.plan.figure} is better",
        "", *("  ".join(line[name].ljust(wide[name]) for name in names).rstrip() for line in lines),
    ])  # fmt: skip


def follow(sweep: Sweep) -> int:
    """Show the sweep until nothing of it goes on. 0: all is done; 1: a run failed; 4: some were ended."""
    shown, live = "", sys.stdout.isatty()
    try:
        while True:
            standing, now = sweep.standing, page(sweep)
            if live and now != shown:
                up = f"\x1b[{shown.count(chr(10)) + 1}F\x1b[J" if shown else ""
                print(up + now, flush=True)
                shown = now
            if standing in ("done", "stopped"):
                break
            time.sleep(1)
    except KeyboardInterrupt:
        print(f"it goes on by itself; end it: visionarium sweep stop {sweep.id}", file=sys.stderr)
        return 130
    if not live:
        print(page(sweep))
    states = {run.state if run else "missing" for run in sweep.runs}
    return 0 if states == {"done"} else 1 if states & {"failed", "lost"} else 4


def stop(flags: Sequence[str]) -> int:
    own = argparse.ArgumentParser("visionarium sweep stop", description="Cancel all that waits or runs; each saves.")
    own.add_argument("target", metavar="SWEEP", help="an id, or last")
    sweep = sweep_of(own.parse_args(flags).target)
    sweep.stop()
    print(f"{sweep.id} stopped; go on: visionarium sweep resume {sweep.id}")
    return 0


def resume(flags: Sequence[str]) -> int:
    own = argparse.ArgumentParser(
        "visionarium sweep resume", description="Make the runs that are missing; go on with those that ended early."
    )
    own.add_argument("target", metavar="SWEEP", help="an id, or last")
    own.add_argument("--follow", action="store_true", help="show the table until all runs are at rest")
    asked = own.parse_args(flags)
    return go_on(sweep_of(asked.target), asked.follow)


def keep(flags: Sequence[str]) -> int:
    own = argparse.ArgumentParser("visionarium sweep keep", description="Write what a finished sweep found to a file.")
    own.add_argument("target", metavar="SWEEP", help="an id, or last")
    own.add_argument("file", metavar="FILE", type=Path, help="a small JSON file")
    own.add_argument("--also", nargs="+", default=[], metavar="FIGURE", help="other numbers of the same runs")
    asked = own.parse_args(flags)
    from lab.runs import kept

    kept.write_kept(asked.file, kept.keep(sweep_of(asked.target), asked.also))
    print(asked.file)
    return 0


def delete(flags: Sequence[str]) -> int:
    own = argparse.ArgumentParser("visionarium sweep delete", description="Throw a sweep away with all its runs.")
    own.add_argument("target", metavar="SWEEP", help="an id, or last")
    own.add_argument("--yes", action="store_true", help="do not ask")
    own.add_argument("--needed", action="store_true", help="even runs that another run or sweep needs")
    asked = own.parse_args(flags)
    from lab.runs.housekeeping import check_dependents

    sweep = sweep_of(asked.target)
    there = [run.id for run in sweep.runs if run]
    if not asked.needed:
        check_dependents(there, besides=sweep.id)
    if not asked.yes and sys.stdin.isatty():
        answer = input(f"delete sweep {sweep.id} ({sweep.plan.method}) with its {len(there)} runs? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            print(f"{sweep.id} kept")
            return 0
    sweep.delete()
    print(f"{sweep.id} deleted, and {len(there)} runs with it")
    return 0
