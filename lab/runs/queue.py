"""What one may do with the runs that wait: see them in their order, move, hold, release and hurry them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, nextafter
from pathlib import Path
from typing import Literal, get_args

from lab.home import home
from lab.runs.line import Line, Lineup, write_place
from lab.runs.order import HURRIED, Ticket, order

Where = Literal["up", "down", "next"]
WHERE: tuple[Where, ...] = get_args(Where)
"""One place earlier, one later, before all others: among the runs of the same visitor, in whose turns all go."""


@dataclass(frozen=True)
class Waiting:
    """A run that waits. position: from 1, over the whole line; None while it is held. first, last: no way up, down."""

    line: str
    position: int | None
    ticket: Ticket
    first: bool
    last: bool

    @property
    def folder(self) -> Path:
        return Path(self.ticket.folder)


def lines() -> list[Line]:
    """The lines that any run has ever waited in."""
    try:
        names = sorted(os.listdir(home() / "devices"))
    except FileNotFoundError:
        return []
    return [Line(name) for name in names if (home() / "devices" / name / "line.json").exists()]


def queue() -> list[Waiting]:
    """All runs that wait, line by line, in the order in which they will be served; the held last."""
    found = []
    for line in lines():
        tickets = line.ordered()
        for place, ticket in enumerate(tickets, 1):
            own = _peers(tickets, ticket)
            position = None if ticket.wants == "hold" else place
            found.append(Waiting(line.name, position, ticket, own[0] == ticket, own[-1] == ticket))
    return found


def move(folder: Path, where: Where) -> None:
    """Give a waiting run another place among its visitor's. ValueError: it does not wait, or is there already."""
    if where not in WHERE:
        raise ValueError(f"{where!r} is no way to move; choose {', '.join(WHERE)}")
    with _line_of(folder).changing() as lineup:
        ticket = _waiting(lineup, folder)
        if ticket.wants == "hold":
            raise ValueError(f"run {folder.name} is held: release it first")
        own = _peers(order(lineup.waiting.values()), ticket)
        place = own.index(ticket)
        if place == (len(own) - 1 if where == "down" else 0):
            raise ValueError(f"run {folder.name} is already the {'last' if where == 'down' else 'first'}")
        if where == "next":
            _put(lineup, ticket._replace(rank=own[0].rank - 1))
        else:
            other = place + (1 if where == "down" else -1)
            own[place], own[other] = own[other], ticket
            _arrange(lineup, own)


def hold(folder: Path) -> None:
    """Let a waiting run wait until it is released; the others pass it by. ValueError: it does not wait, or is held."""
    with _line_of(folder).changing() as lineup:
        ticket = _waiting(lineup, folder)
        if ticket.wants == "hold":
            raise ValueError(f"run {folder.name} is held already")
        _put(lineup, ticket._replace(wants="hold"))


def release(folder: Path) -> None:
    """Let a run that is held or hurried wait for its turn again. ValueError: it does not wait, or does so already."""
    with _line_of(folder).changing() as lineup:
        ticket = _waiting(lineup, folder)
        if ticket.wants == "turn":
            raise ValueError(f"run {folder.name} is not held: it waits for its turn")
        _put(lineup, ticket._replace(wants="turn"))


def hurry(folder: Path, beside: bool = False) -> None:
    """Let a waiting run take the next free place, whoever's turn it is, and even if it was held.

    beside: if no place is free, let it start at once beside what runs, in the one extra place that each device has:
    both then share its memory and its speed. ValueError when it does not wait.
    """
    with _line_of(folder).changing() as lineup:
        ticket = _waiting(lineup, folder)
        before_all = min(one.rank for one in lineup.waiting.values()) - 1
        _put(lineup, ticket._replace(wants="beside" if beside else "now", rank=before_all))


def set_limit(name: str, most: int | None) -> None:
    """How many runs of one visitor may run at once in a line; None: as many as there are slots."""
    if most is not None and most < 1:
        raise ValueError(f"{most} runs of one visitor at once cannot be; at least 1, or none for no limit")
    with Line(name).changing() as lineup:
        lineup.limit = most


def _line_of(folder: Path) -> Line:
    for line in lines():
        if str(folder) in line.lineup().waiting:
            return line
    raise ValueError(f"run {folder.name} waits in no line; only a waiting run has a place in it")


def _waiting(lineup: Lineup, folder: Path) -> Ticket:
    ticket = lineup.waiting.get(str(folder))
    if ticket is None:
        raise ValueError(f"run {folder.name} no longer waits")
    return ticket


def _peers(tickets: Iterable[Ticket], ticket: Ticket) -> list[Ticket]:
    """Those that a ticket changes places with, in their order: its visitor's, or the hurried when it is one."""
    if ticket.wants in HURRIED:
        return [one for one in tickets if one.wants in HURRIED]
    return [one for one in tickets if one.wants == ticket.wants and one.visitor == ticket.visitor]


def _arrange(lineup: Lineup, tickets: Sequence[Ticket]) -> None:
    """Let these tickets have their ranks in this order; equal ones are told apart."""
    rank = -inf
    for ticket, given in zip(tickets, sorted(one.rank for one in tickets), strict=True):
        rank = max(given, nextafter(rank, inf))
        if ticket.rank != rank:
            _put(lineup, ticket._replace(rank=rank))


def _put(lineup: Lineup, ticket: Ticket) -> None:
    lineup.waiting[ticket.folder] = ticket
    write_place(ticket)
