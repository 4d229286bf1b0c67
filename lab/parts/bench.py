"""The lens bench: two classifiers, the same pictures, all lenses at once; where they differ stands out."""

from __future__ import annotations

import streamlit as st

from engine.showcase import folder as shipped
from lab import warm
from lab.components.bench import bench as answers
from lab.looking import Looker
from lab.models import NETS, called
from lab.parts.address import keep_in_address
from lab.parts.brought import chosen_pictures
from lab.parts.choices import named_choice
from lab.parts.exhibit import is_dark
from lab.parts.play import from_address, picker, to_address, wait_for
from lab.runs import all_runs

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
    order = sorted((0, 1), key=lambda i: -lookers[i].opened.facts.size)  # the larger pictures are fitted to the smaller
    found = chosen_pictures([lookers[i] for i in order])
    if found is None:
        return
    brought = [found[order.index(i)] for i in (0, 1)]
    lens = lookers[0].lens("At a glance")
    asks = [{"target": model, "images": images, "seed": 0, "dark": is_dark()}
            for model, images in zip(models, brought, strict=True)]  # fmt: skip
    start = st.session_state.setdefault("start-bench", from_address(lens))
    same = lookers[0].opened.facts.classes == lookers[1].opened.facts.classes
    values, at = answers(asks, [called(model) for model in models], start, picker(lens, found[0]), comparable=same,
                         key=f"bench-{found[0]}")  # fmt: skip
    to_address(lens, values)
    keep_in_address("picture", [str(at)], usual=at == 0)


def chosen(side: str, usual: str) -> str:
    """Which model stands on this side."""
    methods = [id for id in (*FIRST, *OTHERS) if (shipped(id) / "checkpoint.safetensors").exists()]
    runs = [run.id for run in all_runs() if run.checkpoints()]
    options = [*methods, *(f"imagenet:{net}" for net in NETS), *runs]
    usual = usual if usual in options else options[0]
    return named_choice(
        st.selectbox, side, options, key=side.lower(), usual=usual, format_func=called, width=440,
        accept_new_options=True,
    )  # fmt: skip
