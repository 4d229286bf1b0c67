"""visionarium assets build | check"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from engine import catalog


def add(commands: Any) -> None:
    command = commands.add_parser("assets", help="the files that ship with the lab")
    verbs = command.add_subparsers(metavar="VERB", required=True)
    one = verbs.add_parser("build", help="train the demos and store what their pages show first")
    one.add_argument(
        "methods",
        metavar="METHOD",
        nargs="*",
        help="or lenses or maps, for the studios, or a variant; none: all without demo",
    )
    one.set_defaults(run=build)
    one = verbs.add_parser("answers", help="ask what ships through its lenses anew, without training")
    one.add_argument("methods", metavar="METHOD", nargs="+")
    one.set_defaults(run=answer)
    one = verbs.add_parser("check", help="whether every shipped file is whole and has its licence")
    one.set_defaults(run=check)


def alone() -> None:
    """One thread: what ships must not depend on the cores of whoever builds it."""
    import torch

    torch.set_num_threads(1)


def build(given: argparse.Namespace) -> int:
    from engine import shipped_map, showcase

    alone()
    others = {"lenses": showcase.build_lenses, "maps": shipped_map.build_map}
    for id in set(given.methods) - {*others, *showcase.VARIANTS}:
        catalog.card(id)
    failed = False
    for id in given.methods or showcase.missing():
        try:
            made = others[id]() if id in others else showcase.build(id)
            print(f"{id}: {made}", flush=True)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            failed = True
    return int(failed)


def answer(given: argparse.Namespace) -> int:
    from engine import showcase

    alone()
    for id in given.methods:
        if id not in showcase.VARIANTS:
            catalog.card(id)
        print(f"{id}: {showcase.build_answers(id)}", flush=True)
    return 0


def check(given: argparse.Namespace) -> int:
    from engine import assets, showcase

    faults = [f"{file} {fault}; {way_out}" for file, fault, way_out in assets.faults()]
    faults += [f"{file} has no licence recorded; add its row to MANIFEST.json" for file in assets.strays()]
    faults += [f"nothing ships for {id}; build it: visionarium assets build {id}" for id in showcase.missing()]
    for fault in faults:
        print(fault)
    print(f"{len(assets.manifest())} files, {len(faults)} faults")
    return int(bool(faults))
