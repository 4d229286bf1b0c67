"""The last moments of what takes long: as the lens reported them, for whoever wants to go on from one or film them."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.method import Lens, Report

ROOM = 512 << 20
"""Bytes that all kept moments may take."""
Moment = tuple[str, int]
"""The name of an answer, and the place of one of its reports."""


@dataclass
class Answer:
    """The reports of one lens so far, on the CPU. size: bytes; what two reports share counts once."""

    lens: Lens
    reports: list[Report] = field(default_factory=list)
    size: int = 0


_answers: OrderedDict[str, Answer] = OrderedDict()
_lock = threading.Lock()


def begin(lens: Lens) -> str:
    """The name of a new answer."""
    name = secrets.token_hex(8)
    with _lock:
        _answers[name] = Answer(lens)
    return name


def keep(name: str, report: Report) -> Moment | None:
    """Keep a report; the oldest answers are forgotten when there are too many. None when this one is forgotten."""
    here = {key: value.detach().cpu() if hasattr(value, "detach") else value for key, value in report.items()}
    with _lock:
        answer = _answers.get(name)
        if answer is None:
            return None
        last = _stored(answer.reports[-1]) if answer.reports else {}
        answer.size += sum(size for place, size in _stored(here).items() if place not in last)
        answer.reports.append(here)
        while len(_answers) > 1 and sum(each.size for each in _answers.values()) > ROOM:
            _answers.popitem(last=False)
        return name, len(answer.reports) - 1


def begun(lens: Lens, moment: Any) -> Report:
    """The report from which a lens is to begin. ValueError when it is forgotten, or the lens does not go on."""
    ((_, report),) = moments([moment])
    if not lens.goes_on:
        raise ValueError(f"{lens.name} always begins anew; leave out the moment to begin from")
    return report


def _stored(report: Report) -> dict[int, int]:
    """Address -> bytes of each tensor."""
    return {value.data_ptr(): value.nbytes for value in report.values() if hasattr(value, "data_ptr")}


def moments(asked: Sequence[Any]) -> list[tuple[Lens, Report]]:
    """The lens and the report of each moment. ValueError when one is forgotten."""
    with _lock:
        try:
            return [(_answers[name].lens, _answers[name].reports[int(at)]) for name, at in asked]
        except (KeyError, IndexError, TypeError, ValueError):
            raise ValueError("these moments are no longer here; look again") from None
