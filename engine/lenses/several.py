"""The lenses of whatever gives several answers, in the order in which they are offered."""

from __future__ import annotations

from engine.lenses.doubt import doubt, pixels
from engine.lenses.familiar import faults, strangers_among
from engine.lenses.reliable import refusing, reliable
from engine.lenses.sources import Kind
from engine.method import Lens


def several(kind: Kind) -> tuple[Lens, ...]:
    """Those of whole pictures' answers; pixel by pixel see `pixels`."""
    return doubt(kind), reliable(kind), refusing(kind), strangers_among(kind), faults(kind)


__all__ = ["pixels", "several"]
