"""Checks folders of images: classes and their order, strays, circles of links, and every picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from engine.data.decode import SUFFIXES
from engine.data.faults import Fault
from engine.data.paths import pictures, split_folders, subfolders, walk
from engine.data.scan import Look, duplicates, looks, sizes

TINY = 5
"""A class with fewer training images is hardly learned."""


def check_folder(root: Path) -> list[Fault]:
    """A folder with one folder a class, in splits or not."""
    if not root.is_dir():
        return [Fault("missing", str(root), "is a file", "give the folder that holds one folder a class")]
    splits = split_folders(root) or {"all": root}
    train = splits.get("train", root)
    classes = [folder.name for folder in subfolders(train)]
    if not classes:
        return [Fault("missing", str(train), "has no folders, so no classes", f"use unlabelled:{root}")]
    faults = strays(root)
    for split, folder in splits.items():
        faults += class_order(split, folder, classes)
    for folder in subfolders(train):
        count = len(pictures(folder))
        if not count:
            sentence = "has no images; programs that leave it out number all later classes one too low"
            faults.append(Fault("empty-class", str(folder), sentence, "add images, or remove it from every split"))
        elif count < TINY:
            faults.append(Fault("tiny-class", str(folder), f"has {count} images only", f"add some: {TINY} or more"))
    seen = {split: looks(pictures(folder)) for split, folder in splits.items()}
    return faults + seen_faults(seen, root) + two_labels(seen, splits)


def check_unlabelled(root: Path) -> list[Fault]:
    """A folder of images, in splits or not."""
    if not root.is_dir():
        return [Fault("missing", str(root), "is a file", "give the folder that holds the images")]
    splits = split_folders(root) or {"all": root}
    return strays(root) + seen_faults({split: looks(pictures(folder)) for split, folder in splits.items()}, root)


def seen_faults(seen: Mapping[str, list[Look]], root: Path) -> list[Fault]:
    """All that looking at the pictures of the splits has shown."""
    faults = [
        Fault("empty-split", str(root), f"the {split} split has no images", "add some")
        for split, found in seen.items()
        if not found
    ]
    for found in seen.values():
        faults += [fault for each in found for fault in each.faults]
    return faults + duplicates(seen) + sizes([each for found in seen.values() for each in found], str(root))


def strays(root: Path) -> list[Fault]:
    """Files that are no pictures by their name, and links that lead in a circle."""
    faults = []
    for folder, names in walk(root):
        for name in names:
            if not name.lower().endswith(SUFFIXES) and not name.startswith("."):
                fix = "move it away, or give it the suffix of its format"
                faults.append(
                    Fault("not-an-image", str(folder / name), "is no picture by its name; it is left out", fix)
                )
        here = os.path.realpath(folder)
        for path in subfolders(folder):
            target = os.path.realpath(path)
            if path.is_symlink() and (here + os.sep).startswith(target + os.sep):
                faults.append(Fault("symlink-loop", str(path), f"links back to {target}", "remove the link"))
    return faults


def class_order(split: str, folder: Path, classes: list[str]) -> list[Fault]:
    """Classes by which a split differs from the training split."""
    names = [each.name for each in subfolders(folder)]
    lower = {name.lower(): name for name in classes}
    faults = []
    for name in sorted(set(names) - set(classes)):
        near = get_close_matches(name.lower(), lower, 1, 0.8)
        meant = f"; {lower[near[0]]} was meant?" if near else ""
        fix = "rename it, or add it to the training split"
        faults.append(Fault("unknown-class", str(folder / name), f"the training split has no such class{meant}", fix))
    if lacking := sorted(set(classes) - set(names)):
        sentence = f"the {split} split lacks the classes {', '.join(lacking[:5])}"
        if moved := [name for name in names if name in classes and names.index(name) != classes.index(name)]:
            here, there = names.index(moved[0]), classes.index(moved[0])
            sentence += (
                f"; programs that number each split by itself call {moved[0]} {here} here and {there} in training"
            )
        faults.append(Fault("class-order", str(folder), sentence, "add an empty folder for each"))
    return faults


def two_labels(seen: Mapping[str, list[Look]], splits: Mapping[str, Path]) -> list[Fault]:
    """Pictures that are in two classes."""
    first: dict[bytes, tuple[str, Path]] = {}
    faults = []
    for split, found in seen.items():
        for each in found:
            label = each.path.relative_to(splits[split]).parts[0]
            known, twin = first.setdefault(each.digest, (label, each.path))
            if known != label and min(each.size):
                sentence = f"is the same picture as {twin}, whose class is {known}"
                faults.append(Fault("two-labels", str(each.path), sentence, "delete the wrong one"))
    return faults
