"""Checks a set before a run starts: `check(spec)` names every fault it finds, and what to do.

Every file is read once, by a pool of threads; a fault never hides the next one, and none is raised.
"""

from __future__ import annotations

from collections import Counter

from engine import assets
from engine.data import LOADERS, open_data
from engine.data.check_annotated import check_coco, check_masks, check_voc
from engine.data.check_folder import check_folder, check_unlabelled
from engine.data.faults import Fault, told
from engine.data.paths import existing

MOST = 20
"""Faults of one kind that are told one by one; the rest are counted."""

CHECKERS = {
    "folder": check_folder,
    "unlabelled": check_unlabelled,
    "coco": check_coco,
    "voc": check_voc,
    "masks": check_masks,
}


def check(spec: str) -> list[Fault]:
    """Every fault of a source, those that stop a run first; ValueError only when there is no such source."""
    name, _, rest = spec.partition(":")
    if name not in LOADERS:
        open_data(spec)  # raises the sentence that says what there is
    if name in CHECKERS:
        faults = CHECKERS[name](existing(rest, f"{name}:"))
    elif name == "torchvision":
        faults = []
    else:
        faults = [Fault("damaged-asset", *found) for found in assets.faults()]
    if not any(fault.stops for fault in faults):
        faults += _opens(spec)
    return capped(faults, spec)


def _opens(spec: str) -> list[Fault]:
    """Whatever else keeps the set from being opened."""
    faults = []
    for split in ("train", "test"):
        try:
            open_data(spec, split)
        except (ValueError, OSError) as error:
            faults.append(told("missing", spec, str(error)))
    return faults[:1]


def capped(faults: list[Fault], spec: str) -> list[Fault]:
    """Those that stop a run first, then in the order found; of each kind at most MOST, then how many more there are."""
    counts = Counter(fault.kind for fault in faults)
    told: list[Fault] = []
    for kind in sorted(counts, key=lambda kind: not Fault(kind, "", "", "").stops):
        same = [fault for fault in faults if fault.kind == kind]
        told += same[:MOST]
        if len(same) > MOST:
            told.append(Fault(kind, spec, f"{len(same) - MOST} more files have this fault", same[0].fix))
    return told
