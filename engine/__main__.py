"""python -m engine METHOD [--preset demo] [--out FOLDER] [--KNOB VALUE ...]   train, and keep the run in FOLDER
python -m engine --resume FOLDER                                            go on with a run
python -m engine --list                                                     the methods
torchrun --nproc-per-node N -m engine ...                                   the same by N ranks, as with --ranks N
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from engine import catalog
from engine.flags import parse, take_preset
from engine.folder import EXIT, plan_run, read_state
from engine.launch import joined, launch, rank_and_ranks
from engine.threads import wait_asleep


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 done, 1 failed, 2 wrong arguments, 3 paused, 4 cancelled."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if arguments else 2
    if arguments[0] == "--list":
        for card in catalog.cards():
            print(f"{card.id:32}{card.title}")
        return 0
    try:
        with joined():
            return train(ready(arguments))
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


def ready(arguments: Sequence[str]) -> Path:
    """The folder of the run to carry out; across ranks, rank 0 makes it and tells where it is."""
    given = (lambda: Path(arguments[1])) if arguments[0] == "--resume" else (lambda: prepare(arguments))
    if rank_and_ranks()[1] == 1:
        return given()
    from engine.ops.across import agree

    return Path(agree(lambda: str(given())))


def prepare(arguments: Sequence[str]) -> Path:
    """Make the folder of a run from `METHOD [flags]`. ValueError or exit code 2 when they cannot be."""
    from engine.bench import Setup

    id, *rest = arguments
    card, method = catalog.card(id), catalog.method(id)
    preset, rest = take_preset(rest)
    given = parse(
        f"python -m engine {id}", rest, f"{card.title}. {card.idea}",
        params=method.params.make({}, preset), setup=Setup(), out=None,
    )  # fmt: skip
    params = method.params.make(given.params.model_dump())
    folder = given.out or Path("runs") / f"{id}-{time.strftime('%Y%m%d-%H%M%S')}"
    plan_run(folder, id, params, given.setup)
    return folder


def train(folder: Path) -> int:
    """Carry out a run, with a bar on a terminal and a last line that says how it ended."""
    from tqdm import tqdm

    from engine.folder import Plan
    from engine.record import is_number
    from engine.run import run

    plan = Plan.read(folder)
    rank, ranks = rank_and_ranks()
    if ranks == 1 and plan.setup.get("ranks", 1) > 1:
        return EXIT[launch(folder, plan.setup["ranks"])]
    if rank:
        return EXIT[run(folder)]
    bar = tqdm(desc=plan.method, unit="step", disable=None)

    def watch(step: int, report: dict) -> None:
        bar.total = bar.total or read_state(folder).get("steps")
        bar.update(step - bar.n)
        if step % 10 == 0 or step == bar.total:
            numbers = {name: f"{float(value):.3g}" for name, value in report.items() if is_number(value)}
            bar.set_postfix(numbers, refresh=False)

    state = run(folder, None if bar.disable else watch)
    bar.close()
    told = read_state(folder)
    print(f"{state} after {told.get('step', 0)} steps: {folder}" + (f" ({told['cause']})" if told.get("cause") else ""))
    return EXIT[state]


if __name__ == "__main__":
    wait_asleep()
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # torch's own shutdown takes seconds and would delay the end of a cancelled run
