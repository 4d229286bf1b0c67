"""What else a picture comes with must follow its augmentation: boxes and masks of a scene, moved as it was."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.augment import Decisions, RandAugment, Scale
from engine.augment.geometry import move_boxes, move_masks
from engine.augment.inspect import applied
from engine.augment.magnitudes import LARGEST
from engine.bench import Bench
from engine.lenses.augmented import MOST_OPERATIONS, TABLE
from engine.method import Boxes, Lens, Masks, Params, Report, Table, knob
from engine.ops.assign import rows

SCENES, DRAWN = "scenes:scene96", 3


class FollowParams(Params):
    n: int = knob(2, "operations for each draw, one after the other", 0, MOST_OPERATIONS)
    m: int = knob(15, "magnitude of all of them", 0, LARGEST)
    least: float = knob(0.2, "a box of which no more than this share is left inside is dropped", 0.0, 0.9)
    scene: int = knob(1, "which scene", 1, 64)
    seed: int = knob(0, "another draw", 0, 9999)
    scale: Scale = knob("torchvision", TABLE, fold=True)


def look_followed(model: nn.Module, params: FollowParams, images: None, bench: Bench) -> Report:
    """A scene and DRAWN draws of it, with the boxes and the mask that belong to each. The network is not asked."""
    data = bench.data(SCENES, "test")
    batch = data.batch(torch.tensor([(params.scene - 1) % len(data)])).to(bench.device)
    if batch.boxes is None or batch.box_labels is None or batch.semantic is None:
        raise ValueError(f"data: {SCENES} has no boxes or no masks")
    generator, policy = torch.Generator().manual_seed(params.seed), RandAugment(params.n, params.m, params.scale)
    every = RandAugment(MOST_OPERATIONS, params.m, params.scale).draw(DRAWN, generator)
    decided = (every.operation, every.magnitude, every.sign, every.applied)
    decisions = Decisions(*(row[: params.n] for row in decided))
    height, width = batch.images.shape[-2:]
    seen = policy.apply(batch.images.expand(DRAWN, -1, -1, -1), decisions)
    boxes, labels = batch.boxes[0], batch.box_labels[0]
    moved = move_boxes(policy, decisions, boxes.expand(DRAWN, -1, -1), (height, width), params.least)
    masks = move_masks(policy, decisions, batch.semantic.expand(DRAWN, -1, -1))
    pictures = torch.cat([batch.images, seen])
    left = [int((~each.isnan().any(dim=1)).sum()) for each in moved]
    return {
        "scene": pictures, "boxes": torch.stack([table(each, labels) for each in (boxes, *moved)]),
        "pictures": pictures, "masks": torch.cat([batch.semantic, masks]), "classes": list(data.facts.classes),
        "draw": ["as it is", *(str(i) for i in range(1, DRAWN + 1))],
        "done": ["nothing", *applied(policy, decisions, (height, width))],
        "boxes_left": [f"{count} of {len(boxes)}" for count in (len(boxes), *left)],
    }  # fmt: skip


def table(boxes: Tensor, labels: Tensor) -> Tensor:
    """Boxes (G, 4), rows of NaN where one was dropped, as a figure of boxes wants them."""
    there = ~boxes.isnan().any(dim=1)
    return rows(boxes[there], labels[there])


FOLLOWED = Lens(
    "Boxes and masks", FollowParams, look_followed,
    (
        Boxes(("scene", "boxes"), "A scene, then three draws of it. A turned box becomes the hull of its "
              "corners: it no longer fits its thing tightly. What left the picture is gone."),
        Masks(("pictures", "masks"), "The masks of the same draws: they turn without growing. Grey is what came in "
              "from outside, where nobody knows the class."),
        Table(("draw", "done", "boxes_left"), "What was done to each. Operations on grey and colour move nothing."),
    ),
    "In a detector's training, boxes and masks move with the picture: drag M and watch them follow.",
    takes="nothing",
)  # fmt: skip
