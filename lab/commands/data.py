"""visionarium data list | check"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from lab.commands.output import show


def add(commands: Any) -> None:
    command = commands.add_parser("data", help="the sources of data: list them, check yours")
    verbs = command.add_subparsers(metavar="VERB", required=True)
    one = verbs.add_parser("list", help="every source, the shipped ones first")
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=list_sources)
    one = verbs.add_parser("check", help="name every fault of a source; exit code 1 when a run on it would fail")
    one.add_argument("spec", metavar="SOURCE", help="such as garments, folder:PATH, coco:FILE.json")
    one.add_argument("--json", action="store_true")
    one.set_defaults(run=check_source)


def list_sources(given: argparse.Namespace) -> int:
    from engine.data import list_data

    rows = [
        {
            "source": row.spec,
            "images": row.count,
            "classes": row.classes,
            "size": row.size,
            "licence": row.licence,
            "says": row.says,
        }
        for row in list_data()
    ]
    show(rows, given.json)
    return 0


def check_source(given: argparse.Namespace) -> int:
    from engine.data.check import check

    faults = check(given.spec)
    stopping = sum(fault.stops for fault in faults)
    if given.json:
        rows = [
            {
                "kind": fault.kind,
                "where": fault.where,
                "says": fault.sentence,
                "fix": fault.fix,
                "stops": fault.stops,
            }
            for fault in faults
        ]
        show(rows, True)
    else:
        for fault in faults:
            print(f"{'stops' if fault.stops else 'warns'}  {fault}")
        print(f"{given.spec}: {stopping} faults that stop a run, {len(faults) - stopping} warnings", file=sys.stderr)
    return int(stopping > 0)
