"""visionarium look TARGET LENS"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from engine.bench import Bench
    from engine.method import Lens, Method
    from lab.checkpoints import Opened

OWN = """\
  --images FILE [FILE ...]     your own pictures; the method's test pictures without
  --out FILE.png               where to draw"""


def add(commands: Any) -> None:
    command = commands.add_parser(
        "look", help="look through a lens at what a model learned", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"Look at pictures through a lens of a trained model.\n\n{OWN}\n"
        "  --KNOB VALUE                 any knob of the lens: visionarium look TARGET LENS --help",
    )  # fmt: skip
    command.add_argument("target", metavar="TARGET", help="a run (id, folder or last), a checkpoint file, or a method")
    command.add_argument("lens", metavar="LENS", help="its name, as `visionarium methods --json` has it")
    command.add_argument("flags", metavar="...", nargs=argparse.REMAINDER, help="the flags above")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    own = argparse.ArgumentParser("visionarium look", add_help=False, allow_abbrev=False)
    own.add_argument("--images", nargs="+", default=[], metavar="FILE")
    own.add_argument("--out", type=Path)
    asked, rest = own.parse_known_args(given.flags)
    from engine.bench import Bench, Setup
    from engine.flags import parse
    from lab.checkpoints import open_model
    from lab.commands.runs import run_of
    from lab.figures import draw_png

    opened = open_model(run_of("last") if given.target == "last" else given.target)
    lens = lens_of(opened.id, opened.method, given.lens)
    knobs = parse(
        f"visionarium look {given.target} {given.lens}", rest, f"{lens.name}. {lens.says}\n\n{OWN}",
        params=lens.params.make({}),
    ).params  # fmt: skip
    if asked.out is None:
        raise ValueError("--out is missing: name the picture to draw, e.g. --out look.png")
    if asked.out.suffix.lower() != ".png":
        raise ValueError(f"--out {asked.out} cannot be: pictures are written as .png")
    bench = Bench(Setup())
    images = pictures(opened, lens, asked.images, bench)
    opened.model.to(bench.device)
    answer: dict[str, Any] = {}
    with bench.autocast():
        for answer in lens.answers(opened.model, knobs, images, bench):  # noqa: B007 - the last is the whole answer
            pass
    draw_png(lens.exhibits, answer, asked.out)
    print(f"{asked.out}: {opened.id}, {lens.name.lower()}, after {opened.step} steps. {lens.says}")
    return 0


def lens_of(id: str, method: Method, name: str) -> Lens:
    """The lens of that name, however it is written. ValueError names those there are."""
    from engine.showcase import slug

    lenses = {slug(lens.name): lens for lens in method.lenses}
    if slug(name) not in lenses:
        raise ValueError(f"{id} has no lens {name!r}; it has {', '.join(lenses) or 'none'}")
    return lenses[slug(name)]


def pictures(opened: Opened, lens: Lens, files: list[str], bench: Bench) -> Tensor | None:
    """(N, C, size, size) in [0, 1] as the model takes them: the files, or test pictures of the model's data."""
    import torch

    from engine.data.decode import decode, fit
    from engine.showcase import pictures as test_pictures

    if lens.takes == "nothing":
        if files:
            raise ValueError(f"--images: the lens {lens.name!r} looks at no pictures; leave them out")
        return None
    if not files:
        return test_pictures(bench, opened.params)
    fitted = [fit(decode(file), opened.facts) for file in files]
    return torch.stack(fitted).to(bench.device).float() / 255
