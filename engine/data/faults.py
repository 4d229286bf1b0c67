"""What can be wrong with a set, in words: readers stop at the first fault, `check` tells all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "missing", "unreadable", "zero-byte", "damaged-asset", "bad-annotation", "missing-image", "image-size",
    "unknown-category", "unknown-class", "unknown-label", "box-outside", "unpaired-mask", "mask-size", "empty-split",
    "class-order", "two-labels", "not-an-image", "empty-box", "binary-mask", "empty-class", "tiny-class", "duplicate",
    "near-duplicate", "symlink-loop", "mixed-sizes", "cmyk", "16-bit", "exif-rotated", "alpha", "animated",
]  # fmt: skip

HARMLESS: frozenset[Kind] = frozenset([
    "class-order", "two-labels", "not-an-image", "empty-box", "binary-mask", "empty-class", "tiny-class", "duplicate",
    "near-duplicate", "symlink-loop", "mixed-sizes", "cmyk", "16-bit", "exif-rotated", "alpha", "animated",
])  # fmt: skip
"""Faults that a run survives, though its result may be worth less."""


@dataclass(frozen=True)
class Fault:
    """One fault. where: the file, folder or record; sentence: what is wrong; fix: what to do."""

    kind: Kind
    where: str
    sentence: str
    fix: str

    @property
    def stops(self) -> bool:
        """Whether a run on this set fails, sooner or later."""
        return self.kind not in HARMLESS

    def __str__(self) -> str:
        return f"{self.where}: {self.sentence}; {self.fix}"


def told(kind: Kind, where: str, said: str) -> Fault:
    """A fault from an error's text, which ends in "; what to do"."""
    sentence, _, fix = said.rpartition("; ")
    return Fault(kind, where, sentence or fix, fix if sentence else "replace it or delete it")


def stop_at_first(faults: Iterable[Fault], spec: str) -> None:
    """ValueError with the first fault that stops a run, if there is one."""
    stopping = [fault for fault in faults if fault.stops]
    if stopping:
        more = f" ({len(stopping) - 1} more: run `visionarium data check {spec}`)" if len(stopping) > 1 else ""
        raise ValueError(f"{stopping[0]}{more}")
