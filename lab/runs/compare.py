"""Runs side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.runs.run import Run


@dataclass(frozen=True)
class Difference:
    """A row of the comparison: one knob, its value in each run (None where a run has no such knob)."""

    name: str
    values: tuple[Any, ...]

    @property
    def differs(self) -> bool:
        return any(value != self.values[0] for value in self.values)


def differences(*runs: Run) -> list[Difference]:
    """What was asked of the runs, knob by knob: those that differ first, else in the order of declaration."""
    asked = [{"method": run.plan.method, **run.plan.values, **run.plan.setup} for run in runs]
    names = dict.fromkeys(name for one in asked for name in one)
    rows = [Difference(name, tuple(one.get(name) for one in asked)) for name in names]
    return sorted(rows, key=lambda row: not row.differs)
