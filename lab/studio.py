"""The one template of a studio: a page to play with one idea, through any model that fits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import streamlit as st

from engine import catalog
from engine.showcase import LENSES, SHOWN, VARIANTS, ships
from engine.showcase import folder as shipped
from lab.home import ID
from lab.parts.play import Stored, answers_in, chosen_lens, stored_answers, through
from lab.runs import all_runs, find

NETS = {"lite0": "EfficientNet-Lite0", "squeezenet": "SqueezeNet"}
"""What the shipped networks are called."""


def studio(title: str, says: str, models: Mapping[str, Sequence[str]], others: Sequence[str] = ()) -> None:
    """A page of lenses. models: what may be looked through, as `open_model` names it, and with which lenses; a run has
    those of its method. others: the lenses for runs of other methods, files, and networks of timm's.
    """
    st.title(title, anchor=False)
    st.markdown(says, width=900)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        place = st.container(width="content")
        model = chosen_model(models, bool(others))
        with place:
            lens = chosen_lens(lenses_for(model, models, others))
    through(model, lens, stored_through(model))


def lenses_for(model: str, models: Mapping[str, Sequence[str]], others: Sequence[str]) -> Sequence[str]:
    """The lenses that the page offers for a model."""
    if ID.fullmatch(model) and model not in models:
        with suppress(ValueError):  # that there is no such run is said where it is opened
            model = find(model).plan.method
    return models.get(model) or others or next(iter(models.values()))


def stored_through(model: str) -> list[Stored]:
    """The answers that ship of a model: of a method's demo, or of the network that knows ImageNet."""
    if ships(model):
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
        if option in VARIANTS:
            return VARIANTS[option].title
        return f"{catalog.card(option).title} · the shipped demo" if option in catalog.ids() else option

    there = [one for one in models if not ships(one) or (shipped(one) / "checkpoint.safetensors").exists()]
    return st.selectbox(
        "Model", [*there, *runs], format_func=named, key="model", bind="query-params", width=440,
        label_visibility="collapsed", accept_new_options=True,
    )  # fmt: skip
