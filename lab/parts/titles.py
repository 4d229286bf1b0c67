"""What runs, sweeps and methods are called on the pages."""

from __future__ import annotations

from engine.catalog import card
from engine.folder import Plan
from lab.runs.sweep import SweepPlan


def method_title(id: str) -> str:
    """The title of a method; its id, where the method is not installed here."""
    try:
        return card(id).title
    except ValueError:
        return id


def title_of(plan: Plan | SweepPlan) -> str:
    """The name that a run or a sweep was given, else its method's title."""
    return plan.name or method_title(plan.method)
