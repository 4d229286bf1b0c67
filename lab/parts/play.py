"""Playing with a method: each lens on its stored answer at once, live as soon as a trained model is at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import streamlit as st

from engine.method import Exhibit, KnobError, Lens, Params, Pictures
from engine.record import compact, read_values
from engine.showcase import folder, revive, slug
from lab import api, warm
from lab.components.live import live
from lab.figures import POINTED, portable, tiles
from lab.forms import form
from lab.looking import Looker
from lab.models import called
from lab.parts.address import keep_in_address
from lab.parts.brought import chosen_pictures
from lab.parts.choices import named_choice
from lab.parts.exhibit import is_dark, show
from lab.runs import all_runs

THUMBNAIL = 128
"""Pixels that a picture to pick is wide."""


@dataclass(frozen=True)
class Stored:
    """An answer that ships: of which lens, how to show it, with which knobs it was asked."""

    name: str
    says: str
    exhibits: tuple[Exhibit, ...]
    path: Path


def stored_answers(id: str) -> list[Stored]:
    """The answers that ship with a method, in the order of its lenses."""
    return answers_in(folder(id))


@st.cache_data(show_spinner=False, ttl=60)
def answers_in(folder: Path) -> list[Stored]:
    """The stored answers in a folder, in their order."""
    found = []
    for path in folder.glob("*.safetensors"):
        note = read_values(path)[1] if path.stem != "checkpoint" else {}
        if "exhibits" in note:
            found.append((note["place"], Stored(note["lens"], note["says"], revive(note["exhibits"]), path)))
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


@st.cache_data(show_spinner=False, max_entries=64)
def stored_figures(path: Path, _exhibits: tuple[Exhibit, ...], dark: bool) -> list[dict[str, Any]]:
    """A stored answer as the browser shows it."""
    return portable(_exhibits, read_values(path)[0], dark)


def play(id: str, target: str = "") -> None:
    """The lenses of a method. target: the checkpoint to look through, instead of a choice of the method's own."""
    stored = [] if target else stored_answers(id)
    names = [one.name for one in stored] if stored or not warm.is_warm() else lens_names(id, target)
    if not names:
        nothing_yet(id)
        return
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        chosen = chosen_lens(names)
        model = target or chosen_model(id)
    through(model, chosen, stored)


def chosen_lens(names: Sequence[str]) -> str:
    """The lens that the visitor chose, where there are several."""
    if len(names) == 1:
        return names[0]
    return st.segmented_control(
        "Lens", names, default=names[0], required=True, key="lens", label_visibility="collapsed", bind="query-params"
    )


def through(model: str, chosen: str, stored: Sequence[Stored], beside: str = "") -> None:
    """The lens called `chosen`: its stored answer at once, live through `model` once that is open, and the same through
    the model `beside`, if one is named.
    """
    answer = next((one for one in stored if one.name == chosen), None)
    model, looker = opened(model)
    beside, second = opened(beside)
    if looker is not None:
        look(looker, chosen, answer, model, (beside, second) if second else None)
    elif answer is not None:
        st.markdown(f"{answer.says} :gray-badge[stored answer]")
        show(answer.exhibits, read_values(answer.path)[0], f"stored-{slug(chosen)}")
    if waited := [name for name, there in ((model, looker), (beside, second)) if name and there is None]:
        wait_for(waited[0])


def opened(target: str) -> tuple[str, Looker | None]:
    """A target and its model, None while that is being opened; ("", None) when it cannot be, which is said."""
    try:
        return target, warm.ready(target) if target else None
    except ValueError as error:
        st.error(f"{error}.")
        return "", None


def lens_names(id: str, target: str) -> list[str]:
    """The lenses of a method; of an open `target` those that it has: one that others released may have only some."""
    from engine.catalog import method

    with suppress(ValueError):  # said where it is opened
        if target and (looker := warm.ready(target)):
            return [lens.name for lens in looker.opened.lenses]
    return [lens.name for lens in method(id).lenses]


def nothing_yet(id: str) -> None:
    """Nothing ships and nothing was trained."""
    if not warm.is_warm():
        wait_for("")
        return
    st.markdown(
        "No trained model of this method ships yet. Train one (a demo takes about a minute), or build what ships:"
    )
    st.code(f"visionarium assets build {id}", language="bash")


@st.fragment(run_every=0.7)
def wait_for(target: str) -> None:
    """Look again until the model is open, then draw the page anew."""
    what = "The trained model is being opened" if target else "Torch is being loaded"
    st.caption(f"{what}; the page comes alive in a moment.")
    try:
        there = warm.ready(target) is not None if target else warm.is_warm()
    except ValueError:
        there = True
    if there:
        st.rerun()


def chosen_model(id: str) -> str:
    """What to look through: the shipped demo, or one of this method's runs that has a checkpoint."""
    runs = {run.id: run for run in all_runs() if run.plan.method == id and run.checkpoints()}
    shipped = (folder(id) / "checkpoint.safetensors").exists()
    options = [*([id] if shipped else []), *runs]
    if not options:
        return ""
    if options == [id]:
        return id

    def named(option: str) -> str:
        return "The shipped demo" if option == id else f"{runs[option].plan.name or 'run'} · {option}"

    return named_choice(
        st.selectbox, "Model", options, key="model", usual=options[0], format_func=named, width=440,
        label_visibility="collapsed",
    )  # fmt: skip


def look(
    looker: Looker, name: str, answer: Stored | None, target: str, beside: tuple[str, Looker] | None = None
) -> None:
    """A lens, live: its pictures, its knobs, its answer; beside it that of another model, if it has the lens."""
    try:
        lens = looker.lens(name)
    except ValueError as error:
        st.error(f"{error}.")
        return
    st.markdown(f"{lens.says} :green-badge[live]")
    models = {target: looker}
    if beside is not None:
        if complaint := unfit(lens, beside[1]):
            st.warning(complaint)
        else:
            models |= {beside[0]: beside[1]}
    brought = chosen_pictures(list(models.values()), lens.wide) if lens.takes != "nothing" else [""] * len(models)
    if brought is not None:
        ask_it(lens, models, brought, answer)


def unfit(lens: Lens, beside: Looker) -> str:
    """Why a lens cannot be looked through beside; "" when it can."""
    if any(isinstance(exhibit, POINTED) for exhibit in lens.exhibits):
        return f"{lens.name} shows one model at a time."
    try:
        beside.lens(lens.name)
    except ValueError as error:
        return f"{error}."
    return ""


@st.fragment
def ask_it(lens: Lens, models: Mapping[str, Looker], brought: Sequence[str], answer: Stored | None) -> None:
    """Knobs and answer: following the hand, unless the answer takes long or is pointed at."""
    looker = next(iter(models.values()))
    key = f"{slug(lens.name)}-{looker.opened.id}"
    if not any(isinstance(exhibit, POINTED) for exhibit in lens.exhibits):
        asks = {
            called(name): {"target": name, "lens": slug(lens.name), "images": images, "seed": 0, "dark": is_dark()}
            for name, images in zip(models, brought, strict=True)
        }
        shown = [] if answer is None else stored_figures(answer.path, answer.exhibits, is_dark())
        if len(models) > 1 and (told := lens.apart(*(looker.opened.model for looker in models.values()))):
            st.caption(told)
        lens = replace(lens, params=lens.params.up_to(common_ends(lens, models, brought)))
        start = st.session_state.setdefault(f"start-{key}", from_address(lens))
        strip = picker(lens, brought[0]) if lens.takes == "image" else None
        values, at = live(
            asks, start, long=lens.long, goes_on=lens.goes_on, pick=strip, replays=lens.replays, stored=shown,
            key=f"live-{key}-{brought[0]}",
        )  # fmt: skip
        to_address(lens, values)
        keep_in_address("picture", [str(at)], usual=at == 0)
    else:
        values = panel(looker, lens, brought[0], answer, key)
    with st.expander("As a command"):
        st.code("\n".join(command(name, lens, values) for name in models), language="bash", wrap_lines=True)


def common_ends(lens: Lens, models: Mapping[str, Looker], brought: Sequence[str]) -> dict[str, int]:
    """How far the knobs go with the model that goes furthest."""
    found: dict[str, int] = {}
    for looker, images in zip(models.values(), brought, strict=True):
        for name, end in looker.ends(looker.lens(lens.name), api.brought(images) if images else None).items():
            found[name] = max(end, found.get(name, end))
    return {name: end for name, end in found.items() if name in lens.params.model_fields}


def picker(lens: Lens, brought: str) -> dict[str, Any]:
    """The pictures at hand, small, and the place of the one that the page's address picks."""
    images, wanted = api.brought(brought), st.query_params.get("picture", "")
    at = int(wanted) if wanted.isdecimal() and int(wanted) < len(images) else 0
    return tiles(Pictures(("pictures",), ""), {"pictures": compact(images)}, THUMBNAIL) | {"at": at}


def from_address(lens: Lens) -> Params:
    """The knobs as the page's address has them; the usual ones where it has none, or none that can be."""
    given: dict[str, Any] = {}
    for knob in lens.params.knobs():
        if found := st.query_params.get_all(f"{slug(lens.name)}.{knob.name}"):
            given[knob.name] = found if knob.kind == "choices" else found[-1]
    try:
        return lens.params.make(given)
    except KnobError:
        return lens.params.make({})


def to_address(lens: Lens, values: Mapping[str, Any]) -> None:
    """Keep in the page's address the knobs that are not as usual."""
    usual = lens.params.make({}).model_dump(mode="json")
    for name, value in values.items():
        told = [str(item) for item in value] if isinstance(value, list) else [str(value)]
        keep_in_address(f"{slug(lens.name)}.{name}", told, usual=usual[name] == value)


def command(target: str, lens: Lens, values: Mapping[str, Any]) -> str:
    """The command line that asks the same."""
    usual = lens.params.make({}).model_dump(mode="json")
    words = [
        f"--{name.replace('_', '-')} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in values.items()
        if value != usual[name]
    ]
    return " ".join(["visionarium look", target, slug(lens.name), *words, f"--out {slug(lens.name)}.png"])


def panel(looker: Looker, lens: Lens, brought: str, answer: Stored | None, key: str) -> dict[str, Any]:
    """Knobs beside an answer that is drawn on the page; one that takes long is asked for, and grows as it comes."""
    left, right = st.columns([1, 3], gap="large")
    with left:
        params = form(lens.params, lens.params.make({}), slug(lens.name), columns=1, bind=True)
        asked = not lens.long or st.button("Look", type="primary", key=f"ask-{key}", disabled=params is None)
        if lens.long:
            st.caption("It takes a while, and grows as it comes. Changing a knob stops it.")
    with right:
        place = st.empty()
        if params is not None and asked:
            images = lens.given(api.brought(brought)) if brought else None
            with closing(looker.answers(lens, params, images)) as reports:
                for number, report in enumerate(reports):
                    with place.container():
                        show(lens.exhibits, report, f"{key}-{number}")
        elif answer is not None:
            with place.container():
                st.markdown(":gray-badge[stored answer]")
                show(answer.exhibits, read_values(answer.path)[0], f"stored-{slug(lens.name)}")
    return {} if params is None else params.model_dump(mode="json")
