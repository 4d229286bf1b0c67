"""RandAugment's grid search in its studio: a small sweep over N and M, its map as it fills, and the best M by size."""

from __future__ import annotations

import streamlit as st

from engine import catalog
from engine.showcase import folder as shipped
from lab import warm
from lab.parts.choices import named_choice
from lab.parts.links import link
from lab.parts.play import wait_for
from lab.parts.progress import ago
from lab.parts.sweep import chart, sweep
from lab.parts.visitor import visitor
from lab.pictures import words
from lab.runs.best_m import NEARLY, Best, best_m, merged
from lab.runs.cells import best, cells
from lab.runs.kept import Kept, read_kept
from lab.runs.sweep import Sweep, all_sweeps, plan_sweep
from lab.sweep_plots import heat_map

ID, SMALL = "augmentation.randaugment", "N × M by width"


def grid_search() -> None:
    """What ships, what was tried here, and the button that tries again."""
    st.markdown(
        "Nothing is learned about the augmentation: N and M are tried, each pair in a training of its own. The paper "
        "finds that wider networks and more data want a larger M. Does that show in networks this small?", width=900,
    )  # fmt: skip
    kept = {f"kept:{path.stem}": read_kept(path) for path in sorted(shipped(ID).glob("sweep-*.json"), reverse=True)}
    mine = {one.id: one for one in all_sweeps() if one.plan.method == ID and {"n", "m"} <= set(one.plan.grid)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = choice(kept, mine)
        start()
    if chosen in mine:
        link("sweep", "Open as a page", query={"id": chosen})
        sweep(chosen)
    elif chosen in kept:
        stored(chosen, kept[chosen])
    by_size([*kept.values()], [*mine.values()])


def choice(kept: dict[str, Kept], mine: dict[str, Sweep]) -> str:
    """Which sweep is shown."""

    def named(option: str) -> str:
        if option in kept:
            return f"{kept[option].name} · ships with the lab"
        plan = mine[option].plan
        return f"{plan.name or 'N × M'} · {ago(plan.created)}, {mine[option].standing}"

    options = [*kept, *mine]
    if not options:
        return ""
    return named_choice(st.selectbox, "Sweep", options, key="nm", usual=options[0], format_func=named, width=420)


def start() -> None:
    """The button that starts the small sweep, and goes to it."""
    if not warm.is_warm():
        wait_for("")
        return
    st.button("Start the small sweep", type="primary", on_click=begin, help="32 short trainings in the line of runs; "
              "eight minutes of one core. It can be stopped, and goes on when you leave the page.")  # fmt: skip
    if problem := st.session_state.pop("nm-problem", ""):
        st.error(f"{problem}.")


def begin() -> None:
    from engine.bench import Setup

    method = catalog.method(ID)
    ready = next(one for one in method.sweeps if one.name == SMALL)
    try:
        made = plan_sweep(ID, method.params.make(ready.values), Setup(), ready.grid, name=ready.name, visitor=visitor())
        made.resume_apart()
    except (ValueError, OSError) as error:
        st.session_state["nm-problem"] = str(error)
        return
    st.session_state["nm"] = made.id


def stored(key: str, one: Kept) -> None:
    """The map of a sweep that ships."""
    first, found = best(one.cells, one.higher), one.cells
    chart(heat_map(found, one.grid, one.figure, one.higher), key, one.figure)
    if first is not None and first.mean is not None:
        near = sum(cell.mean is not None and first.mean - cell.mean < NEARLY for cell in found) - 1
        st.caption(
            f"{words(one.figure).capitalize()} after {one.values['steps']} steps, one run a cell, on 2 000 test "
            f"pictures. With N = 0 nothing is done, whatever M. A ring marks the best, but {near} other cells are "
            f"less than a point below it: no more than chance."
        )


def by_size(kept: list[Kept], mine: list[Sweep]) -> None:
    """The best M for each size, from all sweeps there are."""
    done = [one for one in mine if one.standing == "done" and one.plan.figure == "test_accuracy"]
    rows = merged([*(best_m(one.cells, one.values, one.higher) for one in kept),
                   *(best_m(cells(one), one.plan.values, one.plan.higher) for one in done)])  # fmt: skip
    if not rows:
        return
    st.subheader("The best M by size", anchor=False)
    st.dataframe(
        {"width": [row.width for row in rows], "training pictures": [row.train_images or "all" for row in rows],
         "best M": [row.m for row in rows], "with N": [row.n for row in rows],
         "bears M up to": [row.bears for row in rows], "test accuracy": [round(row.figure, 4) for row in rows],
         "without augmentation": [None if row.without is None else round(row.without, 4) for row in rows]},
        hide_index=True, width="content", alt="the best M for each size of network and data",
    )  # fmt: skip
    st.caption(said(rows))


def said(rows: list[Best]) -> str:
    """What the table shows, no more than it does."""
    trends = []
    for what, other in (("width", "train_images"), ("train_images", "width")):
        pairs = [(one, two) for one in rows for two in rows
                 if getattr(one, other) == getattr(two, other) and getattr(one, what) < getattr(two, what)]  # fmt: skip
        if pairs:
            grows = sum(one.bears < two.bears for one, two in pairs)
            falls = sum(one.bears > two.bears for one, two in pairs)
            name = "a wider network" if what == "width" else "a network with more pictures"
            trends.append(f"{name} bears a larger M in {grows} of {len(pairs)} comparisons, a smaller one in {falls}")
    told = "; ".join(trends)
    trend = f"{told[0].upper()}{told[1:]}. " if told else ""
    return (
        f"Up to what M it bears: with some N still less than a point below its best. {trend}With equal steps more "
        "pictures are fewer rounds over them, and so short a training wants little augmentation. One run a cell tells "
        "a trend at most: run seeds to be sure."
    )
