"""Samples of a source, drawn with all that is known of them; and the check of one's own data."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from engine.method import Boxes, Exhibit, Masks, Overlay, Pictures
from lab import warm
from lab.parts.choices import named_choice
from lab.parts.exhibit import show
from lab.parts.play import wait_for

COUNT = 16


def samples(spec: str) -> None:
    """Images of a source with their annotations, another handful at a press."""
    if not warm.is_warm():
        wait_for("")
        return
    from engine.data import SPLITS

    with st.container(horizontal=True, vertical_alignment="bottom"):
        split = st.segmented_control("Split", list(SPLITS), default="train", required=True)
        page = st.number_input("Handful", 1, 10_000, 1, key="handful", bind="query-params", width=160)
    try:
        exhibits, values, says = sampled(spec, split, page - 1)
    except (ValueError, OSError) as error:
        st.error(f"{error}.")
        return
    st.caption(says)
    for place, exhibit in enumerate(exhibits):
        classes = values if "objects" not in exhibit.names else {**values, "classes": []}
        show([exhibit], classes, f"samples-{spec}-{place}")


@st.cache_data(show_spinner="Reading the images", max_entries=32)
def sampled(spec: str, split: str, page: int) -> tuple[list[Exhibit], dict[str, Any], str]:
    """Exhibits of the page-th sixteen images of a split, their values, and a sentence on the split."""
    import torch

    from engine.data import open_data

    data = open_data(spec, split)
    index = (torch.arange(COUNT) + COUNT * page) % len(data)
    batch = data.batch(index[: len(data)])
    values: dict[str, Any] = {"images": np.asarray(batch.images), "classes": list(data.facts.classes)}
    exhibits: list[Exhibit] = [Pictures(("images",), "The images as a method gets them.")]
    if batch.boxes is not None and batch.box_labels is not None:
        values["boxes"] = padded(batch.boxes, batch.box_labels)
        exhibits.append(Boxes(("images", "boxes"), "Boxes and classes, as they are annotated."))
    if batch.semantic is not None:
        values["labels"] = np.asarray(batch.semantic)
        exhibits.append(Masks(("images", "labels"), "The class of each pixel."))
    if batch.instances is not None:
        values["objects"] = np.asarray(batch.instances)
        exhibits.append(Masks(("images", "objects"), "Objects, each in a colour of its own."))
    if batch.depth is not None:
        values["depth"] = np.asarray(batch.depth)
        exhibits.append(Overlay(("images", "depth"), "Depth: bright is far."))
    says = f"{len(data):,} images in this split, {data.facts.size} px"
    if batch.labels is not None and data.facts.classes:
        names = [data.facts.classes[label] if label >= 0 else "unknown" for label in batch.labels.tolist()]
        says += f". These show, in reading order: {', '.join(names)}"
    return exhibits, values, says + "."


def padded(boxes: Any, labels: Any) -> np.ndarray:
    """Boxes of N images as (N, M, 6): x1, y1, x2, y2, class, score 1; absent ones are NaN."""
    rows = np.full((len(boxes), max(1, max(len(one) for one in boxes)), 6), np.nan, np.float32)
    for i, (box, label) in enumerate(zip(boxes, labels, strict=True)):
        rows[i, : len(box), :4], rows[i, : len(box), 4], rows[i, : len(box), 5] = box, label, 1
    return rows


def check() -> None:
    """Name a set of one's own, and hear of every fault before a run starts."""
    st.markdown("Say where your data is; every fault is named with what to do about it. Nothing is changed or copied.")
    kinds = {
        "folder": "Folder with one folder a class", "unlabelled": "Folder of images", "coco": "COCO json",
        "voc": "Pascal VOC xml", "masks": "images/ and masks/", "video": "Video file",
    }  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = named_choice(
            st.selectbox, "Kind", list(kinds), key="kind", usual="folder", format_func=kinds.get, width=320
        )
        path = st.text_input("Path on this machine", key="data", bind="query-params", placeholder="/data/flowers")
    if not path:
        return
    if not warm.is_warm():
        wait_for("")
        return
    from engine.data.check import check as faults_of

    spec = f"{kind}:{path}"
    try:
        with st.spinner("Reading every file"):
            faults = list(faults_of(spec))
    except (ValueError, OSError) as error:
        st.error(f"{error}.")
        return
    if not faults:
        st.success(f"Nothing is wrong. Train on it with data = {spec}")
        return
    stops = sum(fault.stops for fault in faults)
    st.markdown(f"**{len(faults)} fault{'s' * (len(faults) > 1)}; {stops or 'none'} of them would stop a run.**")
    order = sorted(faults, key=lambda fault: not fault.stops)
    st.dataframe(
        {
            "stops a run": ["yes" if fault.stops else "" for fault in order],
            "where": [fault.where for fault in order],
            "what is wrong": [fault.sentence for fault in order],
            "what to do": [fault.fix for fault in order],
        },
        hide_index=True,
    )
