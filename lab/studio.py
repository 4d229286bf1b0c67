"""The one template of a studio: a page to play with one idea, through any model that fits."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine import catalog
from engine.showcase import LENSES, SHOWN
from engine.showcase import folder as shipped
from lab.parts.play import Stored, answers_in, chosen_lens, stored_answers, through
from lab.runs import all_runs


def studio(title: str, says: str, lenses: Sequence[str], models: Sequence[str]) -> None:
    """A page of lenses. models: what may be looked through besides the visitor's runs, as `open_model` names it."""
    st.title(title, anchor=False)
    st.markdown(says, width=900)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        lens = chosen_lens(lenses)
        model = chosen_model(models)
    through(model, lens, [one for one in stored_through(model) if one.name in lenses])


def stored_through(model: str) -> list[Stored]:
    """The answers that ship of a model: of a method's demo, or of the network that knows ImageNet."""
    if model in catalog.ids():
        return stored_answers(model)
    return answers_in(LENSES) if model == SHOWN else []


def chosen_model(models: Sequence[str]) -> str:
    """One of `models`, a run that has a checkpoint, or what the visitor names: a file, or a network of timm's."""
    runs = {run.id: run for run in all_runs() if run.checkpoints()}

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
        label_visibility="collapsed", accept_new_options=True, placeholder="a run, a file, or timm:resnet18",
    )  # fmt: skip


NETS = {"lite0": "EfficientNet-Lite0", "squeezenet": "SqueezeNet"}
