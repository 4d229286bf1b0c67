"""Silhouettes of real garments (Fashion-MNIST), grey and tinted; test scenes wear the test garments."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from PIL import Image

from engine.data.scenes.members import Members, bleed, canonical
from engine.data.scenes.photos import ASSETS

CLASSES = {"T-shirt": 0, "trousers": 1, "sneaker": 7, "bag": 8, "dress": 3, "sandal": 5, "ankle boot": 9, "coat": 4}
"""Name -> label in Fashion-MNIST, the most unlike first; pullover and shirt look like T-shirt and coat."""

EACH = 64
SIDE = 28
DARK = 24
"""The background of a garment's picture is no brighter."""


def silhouette(grey: np.ndarray) -> np.ndarray:
    """(28, 28) uint8 -> {0, 1}: brighter than DARK, closed 3 x 3, holes filled."""
    closed = cv2.morphologyEx((grey > DARK).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(closed), outlines, -1, 1, cv2.FILLED)


def members(texels: int, test: bool) -> Members:
    """The first 64 garments of each class; the picture's square is scaled by 1 / sqrt(2) to fit the unit disc."""
    split = "test" if test else "train"
    folder = ASSETS / "classification"
    labels = np.load(folder / f"fashion_{split}_labels.npy")
    with Image.open(folder / f"fashion_{split}.png") as file:
        sheet = np.array(file.convert("L"))
    tiles = sheet.reshape(-1, SIDE, sheet.shape[1] // SIDE, SIDE).swapaxes(1, 2).reshape(-1, SIDE, SIDE)
    pictures = []
    for label in CLASSES.values():
        for grey in tiles[: len(labels)][labels == label][:EACH]:
            pictures.append(np.stack((silhouette(grey) * 255, bleed(grey[..., None], grey > DARK)[..., 0])))
    stack = torch.from_numpy(np.stack(pictures)).float() / 255
    count = len(stack)
    centre, half = torch.full((count, 2), SIDE / 2), torch.full((count,), SIDE * 2**-0.5)
    alpha, greys = canonical(stack, centre, half, texels)
    colours = greys.expand(-1, 3, -1, -1)
    return Members(tuple(CLASSES), (EACH,) * len(CLASSES), alpha, colours, tinted=True, shade=0.2)
