"""visionarium methods"""

from __future__ import annotations

import argparse
from typing import Any, get_args

from engine import catalog
from lab.commands.output import show


def add(commands: Any) -> None:
    command = commands.add_parser("methods", help="the methods, in teaching order")
    command.add_argument("--wing", choices=list(catalog.WINGS), help="only this wing")
    command.add_argument("--json", action="store_true", help="with presets, knobs and lenses (imports every method)")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    cards = [card for card in catalog.cards() if given.wing in (None, card.wing)]
    rows = [whole(card) for card in cards] if given.json else [short(card) for card in cards]
    show(rows, given.json, f"there is no method in {given.wing} yet")
    return 0


def short(card: catalog.Card) -> dict[str, Any]:
    return {"method": card.id, "title": card.title, "venue": card.venue, "source": card.source}


def whole(card: catalog.Card) -> dict[str, Any]:
    from engine.params import Preset

    method = catalog.method(card.id)
    return {
        "id": card.id,
        "title": card.title,
        "wing": card.wing,
        "paper": {"authors": card.authors, "venue": card.venue, "source": card.source},
        "idea": " ".join(card.idea.split()),
        "presets": list(get_args(Preset)),
        "lenses": [lens.name for lens in method.lenses],
        "knobs": [knob.name for knob in method.params.knobs()],
    }
