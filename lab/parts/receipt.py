"""The receipt of a method: the paper's claim in miniature, as it was measured."""

from __future__ import annotations

import statistics
from typing import Any

import streamlit as st

from engine import arms, receipts
from engine.catalog import Card
from engine.receipts import Outcome, Receipt
from lab import what_if
from lab.components.arms import arms as side_by_side
from lab.parts.exhibit import is_dark
from lab.pictures import COLOURS, words
from lab.plots import Plot, style


def receipt(card: Card) -> None:
    """The claim, every measured run as a point, means with their spread, the baseline, and the verdict."""
    found = receipts.read(card.id)
    if found is None:
        st.markdown("This claim was not measured here yet. It takes the demo's time, three times for each arm:")
        st.code(f"visionarium receipts --measure {card.id}", language="bash", wrap_lines=True)
        return
    st.markdown(found.says, width=1060)
    left, right = st.columns([3, 2], gap="large")
    with left:
        chart = plot(found)
        spec = chart.spec | {"config": style(is_dark())}
        st.vega_lite_chart(chart.rows, spec, alt=f"{words(found.figure)} of each arm over seeds")
        st.caption(
            f"Each dot is one run, each bar the mean of an arm; {'higher' if found.higher else 'lower'} is better. "
            f"The line is the baseline of the first arm, {words(found.baseline)}."
        )
    with right:
        with st.container(horizontal=True, gap="large"):
            for arm, outcomes in found.arms.items():
                st.metric(words(arm), spread(outcomes), width="content")
        held = (
            "Beats its baseline in every seed." if found.beats_baseline else "Does not beat its baseline in every seed."
        )
        st.markdown(f"**Claim {found.verdict}.** {held}")
        for name, outcomes in found.also.items():
            st.markdown(
                f"On *{words(name)}*: {words(found.figure)} **{spread(outcomes)}**, {words(found.baseline)} "
                f"{statistics.fmean(one.baseline for one in outcomes):.3g}."
            )
        st.caption(
            f"Measured {found.date} on {found.machine}, {found.seconds:.0f} CPU seconds a demo. "
            + ("" if receipts.fingerprint(card.id) == found.code else "The method's code has changed since then.")
        )
        st.code(f"visionarium receipts --measure {card.id}", language="bash", wrap_lines=True)
    if traced := arms.read(card.id):
        st.subheader("What if", anchor=False)
        st.markdown(
            "The first seed of every arm as it trained: where each places the same test pictures, and what became of "
            "it. Pictures that a network cannot tell apart lie in one point.", width=1060,
        )  # fmt: skip
        side_by_side(what_if.shown(card.id, found, traced), key=f"arms of {card.id}")


def spread(outcomes: list[Outcome]) -> str:
    """Mean ± standard deviation over seeds."""
    figures = [outcome.figure for outcome in outcomes]
    deviation = statistics.stdev(figures) if len(figures) > 1 else 0.0
    return f"{statistics.fmean(figures):.3g} ± {deviation:.2g}"


def plot(found: Receipt) -> Plot:
    """Runs as dots, means as bars, the baseline as a line."""
    baseline = statistics.fmean(outcome.baseline for outcome in next(iter(found.arms.values())))
    rows: dict[str, list[Any]] = {
        "arm": [words(arm) for arm, outcomes in found.arms.items() for _ in outcomes],
        "figure": [outcome.figure for outcomes in found.arms.values() for outcome in outcomes],
        "baseline": [baseline for outcomes in found.arms.values() for _ in outcomes],
        "seed": [seed for outcomes in found.arms.values() for seed in range(len(outcomes))],
    }
    arms = list(dict.fromkeys(rows["arm"]))
    y = {"field": "arm", "type": "nominal", "sort": arms, "title": None, "axis": {"labelLimit": 260}}
    x = {"type": "quantitative", "title": words(found.figure), "scale": {"zero": False}, "axis": {"tickCount": 6}}
    colour = {"field": "arm", "scale": {"domain": arms, "range": list(COLOURS[: len(arms)])}, "legend": None}
    tooltip = [{"field": "seed"}, {"field": "figure", "format": ".4g"}]
    layers = [
        {"mark": {"type": "rule", "strokeDash": [6, 4], "strokeWidth": 2},
         "encoding": {"x": {"aggregate": "mean", "field": "baseline"} | x}},
        {"mark": {"type": "tick", "thickness": 5, "size": 38},
         "encoding": {"y": y, "x": {"aggregate": "mean", "field": "figure"} | x, "color": colour}},
        {"mark": {"type": "circle", "size": 120, "opacity": 0.75},
         "encoding": {"y": y, "x": {"field": "figure"} | x, "color": colour, "tooltip": tooltip}},
    ]  # fmt: skip
    return Plot({"height": 90 + 60 * len(arms), "layer": layers}, rows)
