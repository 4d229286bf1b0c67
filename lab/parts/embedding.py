"""The page of maps: which model looks at which pictures, how the map is made, and the cloud of points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from engine import catalog
from engine.data import SPLITS, list_data
from engine.shipped_map import PICTURES, SPLIT, TARGET
from engine.showcase import folder as shipped
from lab import timeline, warm
from lab.atlas import Atlas, stored_atlas, umap_learn
from lab.atlas.extraction import Job, Wanted, course_atlas, forget, job
from lab.atlas.fits import COURSE
from lab.components.cloud import View, cloud
from lab.forms import form
from lab.models import NETS, called
from lab.parts.address import keep_in_address
from lab.parts.choices import named_choice
from lab.parts.play import wait_for
from lab.runs import all_runs, find

MAPS = {"umap": "UMAP", "tsne": "t-SNE", "pca": "PCA", umap_learn.NAME: "umap-learn"}
"""The ways to make a map, and what they are called."""
COUNTS = (200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
OVER = "over its training"
"""The other side of the slider: not another model, but the run's own past."""


def embedding() -> None:
    """What is chosen, and its map."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted, other = chosen()
    if other == OVER:
        course(wanted.target)
        return
    atlases = made(wanted)
    if not atlases:
        if atlases is not None:
            meanwhile()
        return
    if other:
        atlases += made(Wanted(other, atlases[0].data, wanted.split, wanted.pictures)) or []
    with st.container(horizontal=True, vertical_alignment="center"):
        name, knobs, count = chosen_map(atlases[0])
        st.caption(atlases[0].says + (f", and by {other}" if len(atlases) > 1 else "") + ".", width="content")
        if not warm.is_warm():
            wait_for("")
    if name == umap_learn.NAME:
        if not umap_learn.is_installed():
            st.warning(f"{umap_learn.ABSENT}.")
            return
        umap_learn.warm_up()
    moments = [called(one) for one in (wanted.target, other)] if len(atlases) > 1 else []
    drawn([one.id for one in atlases], name, knobs, count, moments)


def drawn(
    ids: Sequence[str], name: str, knobs: Mapping[str, Any], count: int, moments: Sequence[str], course: bool = False
) -> None:  # fmt: skip
    """The cloud, whose view stands in the page's address."""

    @st.fragment
    def whole() -> None:
        seen = cloud(ids, name, knobs, from_address(), clusters=count, key="cloud", moments=moments, course=course)
        to_address(seen)

    whole()


def from_address() -> View:
    """The view as the page's address has it; the usual one where it has none, or none that can be."""
    told = st.query_params
    try:
        only = int(told["only"]) if "only" in told else None
        return View(told.get("colour", ""), only, told.get("loops", ""), float(told.get("at", 0)))
    except ValueError:
        return View()


def to_address(view: View) -> None:
    usual = View()
    for name, value in vars(view).items():
        keep_in_address(name, [str(value)], usual=value == getattr(usual, name))


def runs() -> dict[str, Any]:
    """Runs that have a checkpoint, by id."""
    return {run.id: run for run in all_runs() if run.checkpoints()}


def models() -> list[str]:
    """What may be looked through: shipped demos that embed, networks that know ImageNet, and runs."""
    shipping = [id for id in catalog.ids() if (shipped(id) / "checkpoint.safetensors").exists()]
    if warm.is_warm():
        shipping = [id for id in shipping if catalog.method(id).embed is not None]
    return [*dict.fromkeys([TARGET, *shipping]), *(f"imagenet:{net}" for net in NETS)]


def chosen(*, beside: bool = True) -> tuple[Wanted, str]:
    """The model and the pictures that the visitor chose, and what is at the other end of the slider: another model, the
    run's own past (`OVER`), or "" for nothing. beside: whether that is asked.
    """
    there, usual = runs(), models()
    target = named_choice(
        st.selectbox, "Model", [*usual, *there], key="model", usual=[*usual, *there, TARGET][0], format_func=called,
        width=320, accept_new_options=True, help="A shipped demo, a run, or the path of a checkpoint file.",
    )  # fmt: skip
    target = str(target or TARGET)
    other = chosen_other(target, [*usual, *there]) if beside else ""
    sources = ["", *(one.spec for one in list_data() if one.spec == one.spec.lower() and one.count)]
    data = named_choice(
        st.selectbox, "Pictures", sources, key="data", usual="",
        format_func=lambda spec: spec or "those of its own data", width=220, accept_new_options=True,
        help="A source by name, or a folder: folder:/path has one folder a class, unlabelled:/path has none.",
    )  # fmt: skip
    split = st.selectbox("Split", SPLITS, SPLITS.index(SPLIT), key="split", bind="query-params", width=90)
    most = named_choice(
        st.selectbox, "At most", COUNTS, key="pictures", usual=PICTURES, format_func="{:,}".format, width=110,
        help="Of more pictures so many are drawn at random, always the same ones.",
    )  # fmt: skip
    return Wanted(target, str(data or ""), split, int(most)), other


def chosen_other(target: str, options: Sequence[str]) -> str:
    """What is at the other end of the slider."""
    there = runs()
    past = [OVER] if target in there and timeline.course_of(find(target).folder) is not None else []
    other = named_choice(
        st.selectbox, "Beside", ["", *past, *(one for one in options if one != target)], key="other", usual="",
        format_func=lambda one: one if one == OVER else called(one) if one else "no other model",
        width=300, accept_new_options=True,
        help="A second model on the same pictures: a slider moves each point from its place in the one to the other.",
    )  # fmt: skip
    return str(other or "")


def meanwhile() -> None:
    """The map that ships, to look at until the wanted one is there; how it is looked at is not kept."""
    ships = stored_atlas()
    st.caption(f"Meanwhile, the map that ships: {ships.says}.")
    cloud([ships.id], "umap", {}, View(), clusters=ships.usual, key="cloud-meanwhile")


def made(wanted: Wanted) -> list[Atlas] | None:
    """The atlas; none while it is being made, and how far that is; None when it cannot be, and why."""
    try:
        found = job(wanted)
    except ValueError as error:
        st.error(f"{error}.")
        return None
    if found.error:
        st.error(f"{found.error[0].upper()}{found.error[1:]}.")
        st.button("Try again", key="try-again", on_click=forget, args=(found,))
        return None
    if found.atlas is None:
        progress(found)
    return [] if found.atlas is None else [found.atlas]


def stage(one: Job) -> str:
    """What a job is at."""
    if one.total:
        return f"{one.done:,} of {one.total:,} pictures seen by {called(one.wanted.target)}"
    return f"{called(one.wanted.target)} is being opened" if warm.is_warm() else "Torch is being loaded"


@st.fragment(run_every=0.4)
def progress(found: Job) -> None:
    """How far it is, looked at again and again, and the way to stop."""
    st.progress(found.done / found.total if found.total else 0.0, stage(found))
    if st.button("Stop", key="stop-atlas"):
        found.stop()
    if found.ended:
        st.rerun()


def chosen_map(atlas: Atlas) -> tuple[str, dict[str, Any], int]:
    """The way the map is made, its knobs that are not as usual, and how many clusters are made of the features."""
    name = named_choice(
        st.segmented_control, "Map", list(MAPS), key="map", usual="umap", format_func=MAPS.__getitem__, required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    if not warm.is_warm():
        return name, {}, atlas.usual
    from engine.maps import MAPS as MADE

    params = MADE["umap" if name == umap_learn.NAME else name][0]
    with st.popover("Knobs"):
        given = form(params, params.make({}), name, columns=1, bind=True)
        count = st.number_input(
            "clusters", 2, 100, atlas.usual, key="clusters", bind="query-params",
            help="By k-means on the features: a colour, and what purity and NMI are measured on.",
        )  # fmt: skip
    usual = params.make({}).model_dump(mode="json")
    told = usual if given is None else given.model_dump(mode="json")
    return name, {key: value for key, value in told.items() if value != usual[key]}, min(int(count), len(atlas))


def course(id: str) -> None:
    """A run's stored maps over its training under one slider."""
    atlas = course_atlas(id)
    if atlas is None or atlas.course is None:
        st.markdown("This run has no map yet; it stores one at each evaluation, if its method embeds.")
        return
    if not warm.is_warm():
        wait_for("")
        return
    st.caption(f"{atlas.says}; each in its principal plane, turned onto the one before.")
    drawn([atlas.id], COURSE, {}, atlas.usual, atlas.course[0], course=True)
