"""Noto emoji: colourful cutouts with exact outlines, sorted into eight classes that no one confuses."""

from __future__ import annotations

import json

import cv2
import numpy as np
import torch
from PIL import Image

from engine.data.scenes.members import RADIUS, Members, bleed, canonical
from engine.data.scenes.photos import ASSETS

CLASSES = {
    "animal face": "mouse cow tiger rabbit cat dog pig frog hamster wolf polar_bear bear panda_face monkey_face "
    "lion_face fox_face raccoon koala",
    "fruit": "apple green_apple pear peach cherries strawberry tangerine lemon lime banana pineapple grapes melon "
    "watermelon kiwifruit mango",
    "vehicle": "car oncoming_automobile blue_car taxi oncoming_taxi police_car oncoming_police_car ambulance "
    "fire_engine bus oncoming_bus minibus truck pickup_truck tractor",
    "clock": "clock1 clock2 clock3 clock4 clock5 clock7 clock8 clock10 clock130 clock430 clock730 clock1030 "
    "alarm_clock stopwatch mantelpiece_clock watch",
    "ball": "soccer basketball baseball softball volleyball 8ball football rugby_football",
    "fish": "fish tropical_fish blowfish shark",
    "insect": "bug bee ladybug butterfly beetle fly",
    "sweet": "doughnut cookie cake birthday cupcake icecream ice_cream shaved_ice candy lollipop chocolate_bar custard",
}
"""Name -> short names of its members; a preset with K classes takes the first K."""

SIDE, PER_ROW = 64, 25


def members(texels: int, test: bool) -> Members:
    """The cutouts, each centred and scaled so that its smallest enclosing circle has the canonical radius; the test
    split has the same."""
    folder = ASSETS / "cutouts"
    places = {row["short"]: place for place, row in enumerate(json.loads((folder / "noto_emoji.json").read_text()))}
    with Image.open(folder / "noto_emoji_64.webp") as file:
        sheet = np.array(file.convert("RGBA"))
    pictures, centres, radii = [], [], []
    for name in " ".join(CLASSES.values()).split():
        row, column = divmod(places[name], PER_ROW)
        picture = sheet[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE]
        opacity = picture[..., 3]
        points = np.argwhere(opacity >= 128)[:, ::-1].astype(np.float32) + 0.5
        centre, radius = cv2.minEnclosingCircle(points)
        pictures.append(np.concatenate((opacity[..., None], bleed(picture[..., :3], opacity / 255)), -1))
        centres.append(centre)
        radii.append(radius + 0.5)
    stack = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
    alpha, colours = canonical(stack, torch.tensor(centres), torch.tensor(radii) / RADIUS, texels)
    return Members(tuple(CLASSES), tuple(len(names.split()) for names in CLASSES.values()), alpha, colours)
