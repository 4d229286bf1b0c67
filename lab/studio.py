"""The one template of a studio: a page to play with one idea, through any model that fits, or two side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import streamlit as st

from engine.showcase import LENSES, SHOWN, ships
from engine.showcase import folder as shipped
from lab import warm
from lab.home import ID
from lab.models import called
from lab.parts.choices import named_choice
from lab.parts.play import Stored, answers_in, chosen_lens, stored_answers, through
from lab.parts.tabs import tabs
from lab.runs import all_runs, find

PLAY = "Under the hand"


def studio(
    title: str, says: str, models: Mapping[str, Sequence[str]], others: Sequence[str] = (), beside: bool = True,
    parts: Mapping[str, Callable[[], None]] | None = None,
) -> None:  # fmt: skip
    """A page of lenses. models: what may be looked through, as `open_model` names it, and with which lenses; a run has
    those of its method. others: the lenses for runs of other methods, files, and networks of timm's. beside: whether
    another model may answer the same beside the first. parts: what stands in tabs beside the lenses.
    """
    st.title(title, anchor=False)
    st.markdown(says, width=900)
    if parts:
        tabs({PLAY: lambda: _lenses(models, others, beside), **parts})
    else:
        _lenses(models, others, beside)


def _lenses(models: Mapping[str, Sequence[str]], others: Sequence[str], beside: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        place = st.container(width="content")
        options = offered(models, bool(others))
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            alone = len(options) == 1 and not others and "model" not in st.query_params
            model = options[0] if alone else chosen_model(options)
            second = chosen_model(options, beside=True) if beside else ""
        with place:
            lens = chosen_lens(fitting(model, lenses_for(model, models, others), others))
    through(model, lens, stored_through(model), second if second != model else "")


def lenses_for(model: str, models: Mapping[str, Sequence[str]], others: Sequence[str]) -> Sequence[str]:
    """The lenses that the page offers for a model."""
    id = model.partition("@")[0]
    if ID.fullmatch(id) and model not in models:
        with suppress(ValueError):  # that there is no such run is said where it is opened
            model = find(id).plan.method
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
    if ships(model):
        return stored_answers(model)
    return answers_in(LENSES) if model == SHOWN else []


def offered(models: Mapping[str, Sequence[str]], any_other: bool) -> list[str]:
    """Those of `models` that are there, and the runs of such methods; with any_other also other runs."""
    there = [one for one in models if not ships(one) or (shipped(one) / "checkpoint.safetensors").exists()]
    runs = [run.id for run in all_runs() if (any_other or run.plan.method in models) and run.checkpoints()]
    return [*there, *runs]


def chosen_model(options: Sequence[str], beside: bool = False) -> str:
    """One of the options, or what the visitor names: a file, a run's step, a network of timm's. Of a run with several
    checkpoints, one of its steps. beside: the second model of the page, "" for none.
    """
    key = "beside" if beside else "model"
    model = named_choice(
        st.selectbox, "Another model beside" if beside else "Model", options, key=key, format_func=called,
        usual=None if beside else options[0], width=280 if beside else 400,
        label_visibility="collapsed", accept_new_options=True, placeholder="Beside it: another model",
    )  # fmt: skip
    if not model or not ID.fullmatch(model):
        return model or ""
    with suppress(ValueError):  # that there is no such run is said where it is opened
        steps = list(find(model).openable())
        if len(steps) > 1:
            step = st.select_slider(
                "Step", steps, value=steps[-1], key=f"{key}_step", bind="query-params", width=200,
            )  # fmt: skip
            return model if step == steps[-1] else f"{model}@{step}"
    return model
