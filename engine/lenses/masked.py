"""Masked autoencoders under the hand: hide patches of a picture, by share or with a brush, and see them painted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from engine.bench import Bench
from engine.lenses import brush
from engine.method import Curves, Lens, Overlay, Params, Pictures, Report, Table, knob
from engine.nets.masked_vit import Kind, MaskedViT
from engine.nets.vit import Attention
from engine.ops.fill import smooth_fill
from engine.ops.patchify import Masking, masking, patchify

GREY = 0.5
"""What is shown in place of a hidden patch."""
PAINTED = ("original", "masked", "reconstruction", "pasted")
WRONG = Overlay(("picture", "error"), "How wrong each painted patch is, on average: 1 is white in place of black.")


@torch.no_grad()
def paint(model: MaskedViT, images: Tensor, hidden: Masking, true_statistics: bool = True) -> Report:
    """The pictures with holes, as painted from the visible patches, and how wrong each painted patch is."""
    return drawn(model, model(images, hidden), images, hidden, true_statistics)


def drawn(model: MaskedViT, painted: Tensor, images: Tensor, hidden: Masking, true_statistics: bool = True) -> Report:
    """The same of patches (B, L, P) that the network has painted already."""
    seen = None if true_statistics else 1 - hidden.mask
    reconstruction, hole = model.pixels(painted, images, seen), model.hole(hidden).bool()
    pasted = torch.where(hole, reconstruction, images)
    return {
        "original": images, "masked": torch.where(hole, GREY, images), "reconstruction": reconstruction,
        "pasted": pasted, "picture": images.expand(-1, 3, -1, -1),
        "error": model.over_pixels(patchify((pasted - images).abs(), model.patch).mean(dim=2)),
    }  # fmt: skip


def wrong(painted: Tensor, images: Tensor, hidden: Masking) -> Tensor:
    """Mean absolute error of the hidden pixels of each picture, of the range from black to white; 0 if none is."""
    return (painted - images).abs().mean(dim=(1, 2, 3)) / hidden.mask.mean(dim=1).clamp(min=1e-6)


def other_places(one: MaskedViT, other: MaskedViT) -> str:
    """That two networks with other grids hide other places."""
    if one.grid == other.grid:
        return ""
    return (f"The first cuts a picture into {one.grid} × {one.grid} patches, the second into {other.grid} × "
            f"{other.grid}: the same share and seed hide other places in each.")  # fmt: skip


def seeded(bench: Bench, seed: int) -> torch.Generator:
    return torch.Generator(bench.device).manual_seed(seed)


class HideParams(Params):
    mask: Kind = knob("random", "which patches: any, one block, or all but a regular grid")
    seed: int = knob(0, "another choice of patches", 0, 9999)


class ReconstructParams(Params):
    painted: str = knob("", "hide what you paint, whatever the share says", brush=True)
    ratio: float = knob(0.75, "share of the patches that is hidden", 0.0, 0.95)
    mask: Kind = knob("random", "which patches: any, one block, or all but a regular grid")
    seed: int = knob(0, "another choice of patches", 0, 9999)
    true_statistics: bool = knob(True, "norm_pix only: un-normalise with each hidden patch's true mean and contrast (a "
                                 "leak, as in published pictures); off: with those of visible patches")  # fmt: skip


@torch.no_grad()
def reconstruct(model: MaskedViT, params: ReconstructParams, images: Tensor, bench: Bench) -> Report:
    """Hide patches of a picture and paint them.

    ValueError when the brush leaves no patch visible.
    """
    hidden = model.hide(len(images), params.ratio, params.mask, seeded(bench, params.seed))
    if params.painted:
        hidden = by_hand(params.painted, model, images)
    smooth = smooth_fill(images, 1 - model.hole(hidden))
    painted = model(images, hidden)
    report = drawn(model, painted, images, hidden, params.true_statistics)
    loss = (painted - model.targets(images)).square().mean(dim=2) * hidden.mask
    errors = {"network": wrong(report["pasted"], images, hidden), "smooth_filling": wrong(smooth, images, hidden)}
    trained = "patches less their mean, over their contrast" if model.norm_pix else "plain pixels"
    return report | errors | {
        "loss": model.over_pixels(loss), "hidden": hidden.mask.mean(dim=1), "paints": [trained] * len(images)
    }  # fmt: skip


def by_hand(painted: str, model: MaskedViT, images: Tensor) -> Masking:
    """The patches under the brush hidden, in each of the images."""
    under = brush.over(painted, model.grid).to(images.device)
    if under.all():
        raise ValueError("painted: every patch is hidden; leave some for the network to see")
    return masking(under.float().expand(len(images), -1), int(under.sum()) / len(under))


RECONSTRUCT = Lens(
    "Reconstruct", ReconstructParams, reconstruct,
    (
        Pictures(PAINTED, "The network saw the second picture only. It never learned to paint visible patches, so "
                 "judge it by the last: its painting with what was visible put back."),
        WRONG,
        Overlay(("picture", "loss"), "The loss of each hidden patch, which training makes small."),
        Table(("hidden", "network", "smooth_filling", "paints"), "The share that is hidden; the mean error of its "
              "pixels as painted, and filled in smoothly from the visible ones, which takes no learning. A network "
              "that paints normalised patches knows neither their brightness nor their contrast: its pictures look "
              "patchy unless true statistics are put back, and that is no fault of it."),
    ),
    "Hide patches, by share or with a brush, and watch the network paint them from the rest.",
    takes="image",
    apart=lambda one, other: (told := other_places(one, other))
    and f"{told} The brush hides the same in both, to the nearest patch.",
)  # fmt: skip


RATIOS = {0.1: "", 0.25: "hide_25%", 0.4: "", 0.5: "hide_50%", 0.6: "", 0.75: "hide_75%", 0.9: "hide_90%"}
"""Shares that are hidden, and the name under which the pictures are shown, where they are."""


def hide_more(model: MaskedViT, params: HideParams, images: Tensor, bench: Bench) -> Iterator[Report]:
    """The same pictures with ever more patches hidden, painted by the network and filled in smoothly."""
    report: Report = {"original": images}
    points: dict[str, list[tuple[float, float]]] = {"network": [], "smooth_filling": []}
    for ratio, shown in RATIOS.items():
        hidden = model.hide(len(images), ratio, params.mask, seeded(bench, params.seed))
        pasted = paint(model, images, hidden)["pasted"]
        smooth = smooth_fill(images, 1 - model.hole(hidden))
        for name, painted in (("network", pasted), ("smooth_filling", smooth)):
            points[name].append((100 * ratio, wrong(painted, images, hidden).mean().item()))
        report |= {shown: pasted} if shown else {}
        yield report | {name: torch.tensor(course) for name, course in points.items()}


HIDE_MORE = Lens(
    "Hide more", HideParams, hide_more,
    (
        Pictures(("original", *filter(None, RATIOS.values())), "Pasted pictures. What is right at 90 % was hardly "
                 "seen: it is what the network expects of such pictures."),
        Curves(("network", "smooth_filling"), "Error of hidden pixels over the percentage hidden. Where little is "
               "hidden, smooth filling is hard to beat; that is why the paper hides so much.", over="% hidden"),
    ),
    "The same pictures with ever more of them hidden: when does filling in take understanding?",
    apart=other_places,
)  # fmt: skip


class AttentionParams(Params):
    part: Literal["decoder", "encoder"] = knob("decoder", "decoder: painting a patch; encoder: among visible patches")
    across: float = knob(0.5, "which patch looks, from left to right", 0.0, 1.0)
    down: float = knob(0.5, "and from top to bottom (in the encoder the visible one nearest to it)", 0.0, 1.0)
    block: int = knob(1, "which block, counted from the last", 1, 64)
    head: int = knob(0, "which attention head; 0: their mean", 0, 64)
    ratio: float = knob(0.5, "share of the patches that is hidden", 0.0, 0.95)
    seed: int = knob(0, "another choice of patches", 0, 9999)


@torch.no_grad()
def attention(model: MaskedViT, params: AttentionParams, images: Tensor, bench: Bench) -> Report:
    """Where one patch looks: attention weights over all patches."""
    hidden = model.hide(len(images), params.ratio, "random", seeded(bench, params.seed))
    row, column = (min(int(share * model.grid), model.grid - 1) for share in (params.down, params.across))
    place = row * model.grid + column
    asking = hidden.ids_keep.new_full((len(images),), place)
    if params.part == "decoder":
        looks = model.decoder_looks(images, hidden, place)
    else:
        looks, asking = model.encoder_looks(images, hidden, place)
    chosen = looks[max(0, len(looks) - params.block)]  # (B, heads, L)
    chosen = chosen[:, (params.head - 1) % chosen.shape[1]] if params.head else chosen.mean(dim=1)
    asks = model.over_pixels(torch.zeros_like(hidden.mask).scatter_(1, asking[:, None], 1.0))[:, None].bool()
    seen = torch.where(model.hole(hidden).bool(), GREY, images)
    red = torch.tensor([1.0, 0.2, 0.1], device=images.device)[:, None, None]
    return {"asking": torch.where(asks, red, seen), "looks_at": model.over_pixels(chosen.float())}


def attention_ends(model: MaskedViT, images: Tensor | None) -> dict[str, int]:
    """The blocks and heads of the larger of its two parts."""
    heads = max(module.heads for module in model.modules() if isinstance(module, Attention))
    return {"block": max(len(model.blocks), len(model.decoder_blocks)), "head": heads}


ATTENTION = Lens(
    "Attention", AttentionParams, attention,
    (
        Overlay(("asking", "looks_at"), "Where the red patch looks: the weights of one block. Grey patches were hidden "
                "from the encoder; the decoder has mask tokens in their places."),
    ),
    "Which visible patches does a hidden one take its pixels from?",
    takes="image",
    ends=attention_ends,
    apart=other_places,
)  # fmt: skip
