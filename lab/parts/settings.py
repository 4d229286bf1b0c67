"""What was asked of a run: its knobs, and the command that asks the same again."""

from __future__ import annotations

import streamlit as st

from engine.catalog import method
from engine.flags import command
from engine.params import KnobError
from lab import warm
from lab.forms import plain
from lab.runs import Run


def settings(run: Run) -> None:
    """The knobs of the method and of how it is carried out, the command line, the folder."""
    plan = run.plan
    if warm.is_warm():
        from engine.bench import Setup

        try:
            params, setup = method(plan.method).params.make(plan.values), Setup.make(plan.setup)
            st.code(command(plan.method, params, setup), language="bash", wrap_lines=True)
        except KnobError as error:
            st.caption(f"This version of the method takes other knobs: {error}.")
    asked = {**plan.values, **plan.setup}
    rows = {"knob": [name.replace("_", " ") for name in asked], "value": [plain(value) for value in asked.values()]}
    st.dataframe(rows, hide_index=True, width=640, alt="the knobs of this run")
    st.caption(f"Its folder is {run.folder}")
