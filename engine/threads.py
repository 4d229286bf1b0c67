"""How the threads of one process share a machine with others."""

from __future__ import annotations

import os


def wait_asleep() -> None:
    """Let torch's threads sleep while they wait for one another, where nobody has said otherwise; before torch loads.

    They usually spin, which is a little quicker on an idle machine; but when a page answers while a run computes on the
    same cores, each spins the other's time away: a lens of 10 ms then took 1300 ms on two cores.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
