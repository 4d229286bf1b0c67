"""What runs, sweeps and methods are called on the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.catalog import card

if TYPE_CHECKING:
    from engine.folder import Plan
    from lab.runs.sweep import SweepPlan


def method_title(id: str) -> str:
    """The title of a method; its id, where the method is not installed here."""
    try:
        return card(id).title
    except ValueError:
        return id


def missing(id: str) -> str:
    """What is to be said where a page needs a method that is not installed here; "" when it is."""
    try:
        card(id)
    except ValueError:
        return (f"The method {id} is not installed here, so this cannot be shown. Install the package that brings it, "
                "and start the lab anew. Numbers, files and the log are all there.")  # fmt: skip
    return ""


def title_of(plan: Plan | SweepPlan) -> str:
    """The name that a run or a sweep was given, else its method's title."""
    return plan.name or method_title(plan.method)
