"""The lenses of whatever gives several answers, in the order in which they are offered."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from engine.lenses.doubt import doubt, pixels
from engine.lenses.familiar import faults, strangers_among
from engine.lenses.reliable import refusing, reliable
from engine.lenses.sources import Kind, ends
from engine.method import Lens


def several(kind: Kind) -> tuple[Lens, ...]:
    """Those of whole pictures' answers; pixel by pixel see `pixels`."""
    lenses = doubt(kind), reliable(kind), refusing(kind), strangers_among(kind), faults(kind)
    return tuple(replace(lens, ends=partial(ends, kind)) for lens in lenses)


__all__ = ["pixels", "several"]
