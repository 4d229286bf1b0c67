"""The one template of a studio: a page to play with one idea, through any model that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

import streamlit as st

from engine import catalog
from engine.showcase import LENSES, SHOWN
from engine.showcase import folder as shipped
from lab import warm
from lab.home import ID
from lab.parts.play import Stored, answers_in, chosen_lens, stored_answers, through
from lab.parts.tabs import tabs
from lab.runs import all_runs, find

PLAY = "Under the hand"

NETS = {"lite0": "EfficientNet-Lite0", "squeezenet": "SqueezeNet"}
"""What the shipped networks are called."""


def studio(
    title: str, says: str, models: Mapping[str, Sequence[str]], others: Sequence[str] = (),
    parts: Mapping[str, Callable[[], None]] | None = None,
) -> None:  # fmt: skip
    """A page of lenses. models: what may be looked through, as `open_model` names it, and with which lenses; a run has
    those of its method. others: the lenses for runs of other methods, files, and networks of timm's. parts: what
    stands in tabs beside the lenses.
    """
    st.title(title, anchor=False)
    st.markdown(says, width=900)
    if parts:
        tabs({PLAY: lambda: _lenses(models, others), **parts})
    else:
        _lenses(models, others)


def _lenses(models: Mapping[str, Sequence[str]], others: Sequence[str]) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        place = st.container(width="content")
        model = chosen_model(models, bool(others))
        with place:
            lens = chosen_lens(fitting(model, lenses_for(model, models, others), others))
    through(model, lens, stored_through(model))


def lenses_for(model: str, models: Mapping[str, Sequence[str]], others: Sequence[str]) -> Sequence[str]:
    """The lenses that the page offers for a model."""
    if ID.fullmatch(model) and model not in models:
        with suppress(ValueError):  # that there is no such run is said where it is opened
            model = find(model).plan.method
    return models.get(model) or others or next(iter(models.values()))


def fitting(model: str, names: Sequence[str], others: Sequence[str]) -> Sequence[str]:
    """Of the lenses those that the model has, once it is open, or of the `others`; all while it is not, or has none."""
    try:
        looker = warm.ready(model)
    except ValueError:  # said where its answer would stand
        return names
    there = {lens.name for lens in looker.lenses} if looker else set()
    return [name for name in names if name in there] or [name for name in others if name in there] or names


def stored_through(model: str) -> list[Stored]:
    """The answers that ship of a model: of a method's demo, or of the network that knows ImageNet."""
    if model in catalog.ids():
        return stored_answers(model)
    return answers_in(LENSES) if model == SHOWN else []


def chosen_model(models: Iterable[str], any_other: bool) -> str:
    """One of `models`, or a run of such a method; with any_other also other runs, and what the visitor names: a file,
    or a network of timm's.
    """
    runs = {run.id: run for run in all_runs() if run.checkpoints() and (any_other or run.plan.method in models)}

    def named(option: str) -> str:
        if option in runs:
            run = runs[option]
            return f"{run.plan.name or catalog.card(run.plan.method).title} · {option}"
        kind, _, net = option.partition(":")
        if kind == "imagenet":
            return f"{NETS[net]} · knows ImageNet"
        return f"{catalog.card(option).title} · the shipped demo" if option in catalog.ids() else option

    there = [one for one in models if one not in catalog.ids() or (shipped(one) / "checkpoint.safetensors").exists()]
    return st.selectbox(
        "Model", [*there, *runs], format_func=named, key="model", bind="query-params", width=440,
        label_visibility="collapsed", accept_new_options=True,
    )  # fmt: skip
