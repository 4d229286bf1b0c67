"""By which number of their reports the cells of a sweep are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.method import Method


def known_figures(method: Method) -> list[str]:
    """The numbers of a method's reports that can be compared; the first is the claim's."""
    from engine.method import Curves

    claimed = [method.claim.figure, method.claim.baseline] if method.claim else []
    shown = [name for exhibit in method.exhibits if isinstance(exhibit, Curves) for name in exhibit.names]
    return list(dict.fromkeys([*claimed[:1], *shown, *claimed[1:]]))


def is_higher_better(figure: str, method: Method) -> bool:
    """What the claim says of its figure; of others, what their name says."""
    if method.claim and figure == method.claim.figure:
        return method.claim.higher
    return not any(word in figure for word in ("loss", "error"))
