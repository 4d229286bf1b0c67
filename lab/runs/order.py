"""Who is next: the order of a waiting line, from its tickets and from who has had a turn, without a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, get_args

Wants = Literal["turn", "hold", "now", "beside"]
"""What a waiting run waits for: its visitor's turn; to be released; the next free place, before all turns; or that
place or, at once, one beside what runs."""
WANTS: tuple[Wants, ...] = get_args(Wants)
HURRIED = ("now", "beside")


class Ticket(NamedTuple):
    """A run's place in its line. rank: the time it was planned, until somebody moves it; the smallest is first."""

    folder: str
    created: float
    visitor: str
    rank: float
    wants: Wants = "turn"

    @property
    def age(self) -> tuple[float, float, str]:
        """What the tickets of one visitor are sorted by."""
        return self.rank, self.created, self.folder


def order(
    tickets: Iterable[Ticket], running: Mapping[str, int] | None = None, served: Mapping[str, int] | None = None
) -> list[Ticket]:
    """The line as it will be served: the hurried by rank; then the visitors' runs in turns; the held last, by rank.

    A turn goes to the visitor with the fewest runs running, then to the one whose last turn is longest ago, then to the
    smallest rank. running: how many runs of a visitor run now. served: the number of a visitor's last turn, from 1.
    """
    running, served = running or {}, served or {}
    hurried, held = [], []
    turns: list[tuple[int, int, Ticket]] = []
    taken = dict(running)
    for ticket in sorted(tickets, key=lambda ticket: ticket.age):
        if ticket.wants == "hold":
            held.append(ticket)
        elif ticket.wants in HURRIED:
            hurried.append(ticket)
        else:
            have = taken.get(ticket.visitor, 0)
            turns.append((have, served.get(ticket.visitor, 0), ticket))
            taken[ticket.visitor] = have + 1
    turns.sort(key=lambda turn: (turn[0], turn[1], turn[2].age))
    return hurried + [ticket for _, _, ticket in turns] + held


def due(line: Iterable[Ticket], running: Mapping[str, int], limit: int | None) -> Ticket | None:
    """The first of an ordered line that may start; None when all are held or their visitors have enough running.

    limit: how many runs of one visitor may run at once; the hurried ask nobody. None: no limit.
    """
    for ticket in line:
        if ticket.wants in HURRIED:
            return ticket
        if ticket.wants == "turn" and (limit is None or running.get(ticket.visitor, 0) < limit):
            return ticket
    return None
