"""visionarium look TARGET LENS"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

OWN = """\
  --images FILE [FILE ...]     your own pictures; the method's test pictures without
  --out FILE.png               where to draw"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "look", help="look through a lens at what was learned", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"Look at pictures through a lens of a trained model.\n\n{OWN}\n"
        "  --KNOB VALUE                 any knob of the lens: visionarium look TARGET LENS --help",
    )  # fmt: skip
    command.add_argument(
        "target", metavar="TARGET", help="a run (id, ID@STEP, folder or last), a checkpoint file, or a method"
    )
    command.add_argument("lens", metavar="LENS", help="its name, as `visionarium methods --json` has it")
    command.add_argument("flags", metavar="...", nargs=argparse.REMAINDER, help="the flags above")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    own = argparse.ArgumentParser("visionarium look", add_help=False, allow_abbrev=False)
    own.add_argument("--images", nargs="+", type=Path, default=[], metavar="FILE")
    own.add_argument("--out", type=Path)
    asked, rest = own.parse_known_args(given.flags)
    from engine.flags import parse
    from lab.checkpoints import open_model
    from lab.commands.runs import run_of
    from lab.figures import draw_png
    from lab.looking import MOST, Looker

    looker = Looker(open_model(run_of("last") if given.target == "last" else given.target))
    lens = looker.lens(given.lens.lower().replace(" ", "-"))
    knobs = parse(
        f"visionarium look {given.target} {given.lens}", rest, f"{lens.name}. {lens.says}\n\n{OWN}",
        params=lens.params.make({}),
    ).params  # fmt: skip
    if asked.out is None or asked.out.suffix.lower() != ".png":
        raise ValueError("--out FILE.png is missing: name the picture to draw, e.g. --out look.png")
    most = {"images": MOST, "image": 1, "nothing": 0}[lens.takes]
    if len(asked.images) > most:
        raise ValueError(f"--images: {len(asked.images)} files for the lens {lens.name!r}, which looks at up to {most}")
    images = None
    if most:
        images = lens.given(looker.fitted(asked.images, lens.wide) if asked.images else looker.shipped(size=lens.wide))
    answer: dict[str, Any] = {}
    for answer in looker.answers(lens, knobs, images):  # noqa: B007 - the last is the whole answer
        pass
    draw_png(lens.exhibits, answer, asked.out)
    opened = looker.opened
    after = f", after {opened.step} steps" if opened.step else ""
    print(f"{asked.out}: {opened.id}, {lens.name.lower()}{after}. {lens.says}")
    return 0
