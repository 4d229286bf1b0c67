"""What a trained model is called where one is chosen: a shipped one, a run, a run at one of its steps, a file."""

from __future__ import annotations

from contextlib import suppress

from engine import catalog
from engine.showcase import VARIANTS
from lab.home import ID
from lab.runs import find

NETS = {"lite0": "EfficientNet-Lite0", "squeezenet": "SqueezeNet"}
"""What the shipped networks are called."""


def called(target: str) -> str:
    """A target in words."""
    id, at, step = target.partition("@")
    if ID.fullmatch(id):
        with suppress(ValueError):  # that there is no such run is said where it is opened
            plan = find(id).plan
            return f"{plan.name or catalog.card(plan.method).title} · {id}" + (f" · step {step}" if at else "")
    kind, _, net = target.partition(":")
    if kind == "imagenet":
        return f"{NETS.get(net, net)} · knows ImageNet"
    if target in VARIANTS:
        return VARIANTS[target].title
    if target in catalog.ids():
        return f"{catalog.card(target).title} · the shipped demo"
    return target
