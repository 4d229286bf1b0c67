"""Which methods there are, in teaching order, and how to get one. Titles are read from docstrings, without torch.

A method's docstring has a fixed form: "<Title>." on the first line, then "<Authors>. <Venue>. arXiv:<id>." (or
another source in place of the arXiv id), then paragraphs that each begin with one of the words in `PARTS` and a full
stop. Lines of "Where." are "<symbol>: <meaning>".
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.method import Method

WINGS: dict[str, tuple[str, ...]] = {
    "backbones": (),
    "augmentation": ("randaugment", "learned_tta"),
    "representation": ("simclr", "moco", "moco_v3", "swav", "seer", "dino", "relic", "mae", "learnability"),
    "semi": ("fine_tuning", "self_training", "paws"),
    "metric": (),
    "multilabel": (),
    "fewshot": ("prototypical",),
    "memory": (),
    "uncertainty": ("mc_dropout", "deep_ensembles", "active_learning"),
    "robustness": (),
    "detection": ("retinanet",),
    "segmentation": (),
    "generation": ("style_transfer",),
    "video": (),
    "transfer": (),
}
"""The wings, and in each the methods, in the order in which one would teach them."""

PARTS = ("Idea", "Equation", "Where", "Differs", "Expect")


@dataclass(frozen=True)
class Card:
    """What a list says of a method before it is imported. `parts`: paragraphs of its docstring by first word."""

    id: str
    wing: str
    title: str
    authors: str
    venue: str
    source: str
    parts: Mapping[str, str]
    path: Path

    @property
    def idea(self) -> str:
        return self.parts["Idea"]

    @property
    def terms(self) -> list[tuple[str, str]]:
        """(symbol, meaning) of the equation's terms."""
        pairs = (line.split(":", 1) for line in self.parts.get("Where", "").splitlines() if ":" in line)
        return [(symbol.strip(), meaning.strip()) for symbol, meaning in pairs]


def _modules() -> dict[str, str]:
    """id -> module of every method: ours, then those that other packages offer."""
    ours = {f"{wing}.{name}": f"engine.methods.{wing}.{name}" for wing, names in WINGS.items() for name in names}
    return ours | {entry.name: entry.value for entry in entry_points(group="visionarium.methods")}


def ids() -> tuple[str, ...]:
    """The ids of all methods, in teaching order."""
    return tuple(_modules())


@cache
def card(id: str) -> Card:
    """The card of one method; ValueError names the nearest ids when there is none."""
    try:
        spec = find_spec(_module(id))
    except ModuleNotFoundError:  # the package around it is gone
        spec = None
    if spec is None or spec.origin is None:
        raise ValueError(f"method {id!r} is listed, but its module {_module(id)} is not installed")
    path = Path(spec.origin)
    return parse(id, path, ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "")


def cards() -> list[Card]:
    """The cards of all methods, in teaching order."""
    return [card(id) for id in ids()]


def parse(id: str, path: Path, docstring: str) -> Card:
    """The card that a docstring of the fixed form gives; ValueError says what is missing."""
    head, *paragraphs = docstring.strip().split("\n\n")
    byline = " ".join(paragraphs[0].split()) if paragraphs else ""
    authors, _, rest = byline.partition(". ")
    venue, _, source = rest.rstrip(".").partition(". ")
    parts: dict[str, str] = {}
    for paragraph in paragraphs[1:]:
        word, stop, text = paragraph.partition(".")
        if stop and word in PARTS:
            parts[word] = text.strip()
        elif parts:
            parts[list(parts)[-1]] += "\n\n" + paragraph
    missing = [name for name, text in (("title", head), ("authors", authors), ("venue", venue), ("source", source))
               if not text] + [part for part in PARTS if part not in parts]  # fmt: skip
    if missing:
        raise ValueError(f"{path.name}: its docstring lacks {', '.join(missing)}; see engine/catalog.py for the form")
    title = " ".join(head.split()).rstrip(".")
    return Card(id, id.partition(".")[0], title, authors, venue, source, parts, path)


def _module(id: str) -> str:
    from difflib import get_close_matches

    modules = _modules()
    if id in modules:
        return modules[id]
    short = {known.partition(".")[2]: known for known in modules}
    near = [short[id]] if id in short else get_close_matches(id, modules, 3, 0.4) or list(modules)
    raise ValueError(f"there is no method {id!r}; did you mean {' or '.join(near)}?")


def method(id: str) -> Method:
    """The method itself; imports its file, and so torch."""
    return import_module(_module(id)).METHOD
