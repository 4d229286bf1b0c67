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
from lab.atlas import Atlas, umap_learn
from lab.atlas.extraction import Job, Wanted, course_atlas, forget, job
from lab.atlas.fits import COURSE
from lab.components.cloud import View, cloud
from lab.forms import form
from lab.home import ID
from lab.parts.play import keep_in_address, wait_for
from lab.runs import all_runs, find
from lab.studio import NETS

MAPS = {"umap": "UMAP", "tsne": "t-SNE", "pca": "PCA", umap_learn.NAME: "umap-learn"}
"""The ways to make a map, and what they are called."""
COUNTS = (200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
OVER = "over its training"
"""The other side of the slider: not another model, but the run's own past."""


def embedding() -> None:
    """What is chosen, and its map."""
    wanted = chosen()
    other = chosen_other(wanted.target)
    if other == OVER:
        course(wanted.target)
        return
    ids = made([wanted, *([Wanted(other, wanted.data, wanted.split, wanted.pictures)] if other else [])])
    if ids is None:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name, knobs = chosen_map()
        count = clusters(ids[0])
    if name == umap_learn.NAME:
        if not umap_learn.is_installed():
            st.warning(f"{umap_learn.ABSENT[0].upper()}{umap_learn.ABSENT[1:]}.")
            return
        umap_learn.warm_up()
    st.caption(ids[0].says + (f", and by {other}." if other else "."))
    moments = [named(wanted.target, runs()), named(other, runs())] if other else []
    drawn([one.id for one in ids], name, knobs, count, moments)


def drawn(
    ids: Sequence[str], name: str, knobs: Mapping[str, Any], count: int, moments: Sequence[str], course: bool = False
) -> None:  # fmt: skip
    """The cloud, whose view stands in the page's address."""

    @st.fragment
    def whole() -> None:
        start = st.session_state.setdefault("map-view", from_address())
        seen = cloud(ids, name, knobs, start, clusters=count, key="cloud", moments=moments, course=course)
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


def named(target: str, there: Mapping[str, Any]) -> str:
    """What a model is called."""
    if target in there:
        plan = there[target].plan
        return f"{plan.name or plan.method} · {target}"
    kind, _, net = target.partition(":")
    if kind == "imagenet":
        return f"{NETS[net]} · knows ImageNet"
    return f"{catalog.card(target).title} · the shipped demo" if target in catalog.ids() else target


def models() -> list[str]:
    """What may be looked through: shipped demos that embed, networks that know ImageNet, and runs."""
    shipping = [id for id in catalog.ids() if (shipped(id) / "checkpoint.safetensors").exists()]
    if warm.is_warm():
        shipping = [id for id in shipping if catalog.method(id).embed is not None]
    return [*dict.fromkeys([TARGET, *shipping]), *(f"imagenet:{net}" for net in NETS)]


def chosen() -> Wanted:
    """The model and the pictures that the visitor chose."""
    there = runs()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        target = st.selectbox(
            "Model", [*models(), *there], format_func=lambda one: named(one, there), key="model", bind="query-params",
            width=340, accept_new_options=True, help="A shipped demo, a run, or the path of a checkpoint file.",
        )  # fmt: skip
        sources = ["", *(one.spec for one in list_data() if one.spec == one.spec.lower() and one.count)]
        data = st.selectbox(
            "Pictures", sources, format_func=lambda spec: spec or "those of its own data", key="data",
            bind="query-params", width=230, accept_new_options=True,
            help="A source by name, or a folder of your own: folder:/path has one folder a class, unlabelled:/path none.",
        )  # fmt: skip
        split = st.selectbox("Split", SPLITS, SPLITS.index(SPLIT), key="split", bind="query-params", width=100)
        most = st.selectbox(
            "At most", COUNTS, COUNTS.index(PICTURES), format_func=lambda count: f"{count:,}", key="pictures",
            bind="query-params", width=110, help="Of more pictures so many are drawn at random, always the same ones.",
        )  # fmt: skip
    return Wanted(str(target or TARGET), str(data or ""), split, int(most))


def chosen_other(target: str) -> str:
    """The model at the other end of the slider: another one, the run's own past, or "" for none."""
    there, past = runs(), []
    if ID.fullmatch(target) and target in there and timeline.course_of(find(target).folder) is not None:
        past = [OVER]
    options = ["", *past, *(one for one in [*models(), *there] if one != target)]
    return st.selectbox(
        "Beside", options, format_func=lambda one: named(one, there) if one not in ("", OVER) else one or "no other model",
        key="other", bind="query-params", width=340, accept_new_options=True,
        help="A second model on the same pictures: a slider moves every point from its place in the one to the other.",
    ) or ""  # fmt: skip


def made(wanted: Sequence[Wanted]) -> list[Atlas] | None:
    """The atlases, once all are there; until then how far they are, or why one cannot be."""
    try:
        jobs = [job(one) for one in wanted]
    except ValueError as error:
        st.error(f"{error}.")
        return None
    for one in jobs:
        if one.error:
            st.error(f"{one.error[0].upper()}{one.error[1:]}.")
            st.button("Try again", key=f"again-{jobs.index(one)}", on_click=forget, args=(one,))
            return None
    atlases = [one.atlas for one in jobs if one.atlas is not None]
    if len(atlases) == len(jobs):
        return atlases
    progress(jobs)
    return None


def progress(jobs: Sequence[Job]) -> None:
    """How far they are, looked at again and again, and the way to stop."""

    @st.fragment(run_every=0.4)
    def bar() -> None:
        for one in jobs:
            if one.ended:
                continue
            share = one.done / one.total if one.total else 0.0
            says = f"{one.done:,} of {one.total:,} pictures seen by {one.wanted.target}" if one.total else (
                "Torch is being loaded." if not warm.is_warm() else f"{one.wanted.target} is being opened.")  # fmt: skip
            st.progress(share, says)
        if st.button("Stop", key="stop-atlas"):
            for one in jobs:
                one.stop()
        if all(one.ended for one in jobs) or any(one.error for one in jobs):
            st.rerun()

    bar()


def chosen_map() -> tuple[str, dict[str, Any]]:
    """The way the map is made, and the knobs that are not as usual."""
    name = st.segmented_control(
        "Map", list(MAPS), format_func=MAPS.__getitem__, default="umap", required=True, key="map", bind="query-params"
    )  # fmt: skip
    if not warm.is_warm():
        return name, {}
    from engine.maps import MAPS as MADE

    params = MADE["umap" if name == umap_learn.NAME else name][0]
    with st.popover("Knobs"):
        given = form(params, params.make({}), name, columns=1, bind=True)
    if given is None:
        return name, {}
    usual = params.make({}).model_dump(mode="json")
    return name, {key: value for key, value in given.model_dump(mode="json").items() if value != usual[key]}


def clusters(atlas: Atlas) -> int:
    """How many clusters are made of the features."""
    count = st.number_input("Clusters", 2, 100, atlas.usual, key="clusters", bind="query-params", width=110,
                            help="By k-means on the features: a colour, and what purity and NMI are measured on.",
                            disabled=not warm.is_warm())  # fmt: skip
    return min(int(count), max(2, len(atlas)))


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
