"""Who looks at this page, as far as it matters: in whose turns a run goes, and who may change it.

Whoever sits at the lab's machine may change every run, as on the command line. Visitors from elsewhere change what they
started themselves, unless the lab was opened with `--trust-visitors`.
"""

from __future__ import annotations

import os

import streamlit as st

from engine.folder import Plan
from lab.home import login_name
from lab.runs.sweep import SweepPlan

TRUST = "VISIONARIUM_TRUST_VISITORS"
"""Environment variable: not empty when every visitor may change every run."""


def visitor() -> str:
    """Who logged in; else the other machine's address; else, on this machine, the login name as on the command line."""
    return _from_elsewhere() or login_name()


def may_change_all() -> bool:
    """Whether this is the lab's machine itself, or all are trusted."""
    return not _from_elsewhere() or bool(os.environ.get(TRUST))


def refusal(plan: Plan | SweepPlan) -> str:
    """Why this visitor may not change a run or a sweep; "" when they may."""
    if may_change_all() or plan.visitor == visitor():
        return ""
    whose = f"{plan.visitor}'s" if plan.visitor else "somebody else's"
    return f"It is {whose}: only they may change it, and whoever sits at the lab's machine."


def note() -> str:
    """What is to be said of it on a page; "" to whom nothing is forbidden."""
    if may_change_all():
        return ""
    return (f"You may change the runs that you started, as {visitor()}; those of others only they, and whoever sits at "
            "the lab's machine.")  # fmt: skip


def _from_elsewhere() -> str:
    """The account or the address of a visitor from another machine; "" on this one."""
    account = st.user.get("email") if st.user.get("is_logged_in") else None
    return str(account or st.context.ip_address or "")
