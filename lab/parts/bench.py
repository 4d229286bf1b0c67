"""The lens bench: two classifiers, the same pictures, all lenses at once; where they differ stands out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import streamlit as st

from engine import catalog
from engine.showcase import folder as shipped
from lab import api, warm
from lab.components.bench import bench as answers
from lab.looking import Looker
from lab.parts.exhibit import is_dark
from lab.parts.play import chosen_pictures, from_address, keep_in_address, picker, to_address, wait_for
from lab.runs import all_runs
from lab.studio import NETS

if TYPE_CHECKING:
    from torch import Tensor

FIRST = ("uncertainty.mc_dropout", "augmentation.randaugment")
"""What A and B are at first: two networks that know the same ten classes, and learned them in different ways."""
OTHERS = ("semi.self_training", "uncertainty.deep_ensembles", "augmentation.learned_tta")


def bench() -> None:
    """Two models, pictures, knobs, and their answers beside one another; all of it in the page's address."""
    with st.container(horizontal=True):
        models = [chosen("A", FIRST[0]), chosen("B", FIRST[1])]
    lookers = []
    for side, model in zip("AB", models, strict=True):
        try:
            lookers.append(warm.ready(model))
        except ValueError as error:
            st.error(f"{side}: {error}.")
            return
    if any(looker is None for looker in lookers):
        wait_for(models[0] if lookers[0] is None else models[1])
        return
    _answers(models, [looker for looker in lookers if looker is not None])


def _answers(models: list[str], lookers: list[Looker]) -> None:
    for side, looker in zip("AB", lookers, strict=True):
        if looker.classifier is None:
            st.error(f"{side}: {looker.opened.id} does not answer a picture with classes; choose a classifier.")
            return
    first = max(lookers, key=lambda looker: (looker.opened.facts.size, looker.opened.facts.channels))
    brought = chosen_pictures(first)
    if brought is None:
        return
    lens = lookers[0].lens("At a glance")
    asks = [{"target": model, "images": brought if looker is first else refitted(brought, looker), "seed": 0,
             "dark": is_dark()} for model, looker in zip(models, lookers, strict=True)]  # fmt: skip
    start = st.session_state.setdefault("start-bench", from_address(lens))
    same = lookers[0].opened.facts.classes == lookers[1].opened.facts.classes
    values, at = answers(asks, [named(model) for model in models], start, picker(lens, brought), comparable=same,
                         key=f"bench-{brought}")  # fmt: skip
    to_address(lens, values)
    keep_in_address("picture", [str(at)], usual=at == 0)


def refitted(brought: str, looker: Looker) -> str:
    """The same pictures as another model takes them, kept under the returned name."""
    from engine.data.decode import fit

    images: Tensor = api.brought(brought)
    facts = looker.opened.facts
    pixels = images.mul(255).round().clamp(0, 255).byte().cpu()
    return api.bring(f"{brought} for {facts.channels} x {facts.size}", fit(pixels, facts).float().div(255))


def chosen(side: str, usual: str) -> str:
    """Which model stands on this side."""
    methods = [id for id in (*FIRST, *OTHERS) if (shipped(id) / "checkpoint.safetensors").exists()]
    runs = [run.id for run in all_runs() if run.checkpoints()]
    options = [*methods, *(f"imagenet:{net}" for net in NETS), *runs]
    return st.selectbox(
        side, options, options.index(usual) if usual in options else 0, format_func=named, key=side.lower(),
        bind="query-params", width=440, accept_new_options=True,
    )  # fmt: skip


def named(model: str) -> str:
    """What a model is called."""
    kind, _, net = model.partition(":")
    if kind == "imagenet" and net in NETS:
        return f"{NETS[net]} · knows ImageNet"
    if model in catalog.ids():
        return f"{catalog.card(model).title} · the shipped demo"
    names: dict[str, Any] = {run.id: run.plan.name or catalog.card(run.plan.method).title for run in all_runs()}
    return f"{names[model]} · {model}" if model in names else model
