"""What stands out in a picture, found without having learned anything: contrast, a threshold, the largest piece; and
that before something else."""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Way = Literal["auto", "edges", "surround"]
BINS = 256
BORDER = 0.1
"""Share of the side that a picture's border, its surround, is wide."""
CENTRE = 0.7
"""Standard deviation, in half sides, with which a place counts less the farther it is from the middle."""
LEAST_VARIANCE = 1e-3
"""Added to the variance of the border's colours, so that one plain colour has a distance too."""


def otsu(values: Tensor, bins: int = BINS) -> Tensor:
    """Thresholds (B,): each parts the values (B, ...) of its row into two classes whose means are as far apart as can
    be, in variance (Otsu, IEEE Trans. SMC 1979, eq. 14). "Above" is the upper class.

    It is the middle of one of `bins` between the row's least and largest value. Of a row of equal values: that value.
    """
    if values.ndim < 2 or not values[0].numel():
        raise ValueError(f"values: expected (B, ...) with a value or more a row, got shape {tuple(values.shape)}")
    if bins < 2:
        raise ValueError(f"bins: expected 2 or more, got {bins}")
    rows = values.flatten(1)
    least, most = rows.amin(dim=1, keepdim=True), rows.amax(dim=1, keepdim=True)
    width = (most - least) / bins
    place = ((rows - least) / width.clamp(min=torch.finfo(rows.dtype).tiny)).long().clamp(0, bins - 1)
    counts = rows.new_zeros(len(rows), bins).scatter_add_(1, place, torch.ones_like(rows))
    middles = least + width * (torch.arange(bins, device=rows.device) + 0.5)
    below, sums = counts.cumsum(dim=1), (counts * middles).cumsum(dim=1)
    above, rest = below[:, -1:] - below, sums[:, -1:] - sums
    apart = sums / below.clamp(min=1) - rest / above.clamp(min=1)
    between = (below * above * apart.square())[:, :-1]
    return middles.gather(1, between.argmax(dim=1, keepdim=True))[:, 0]


def slope(images: Tensor) -> Tensor:
    """|gradient| (B, 1, H, W) of images (B, C, H, W) by central differences, the border continued; of the steepest
    channel."""
    padded = F.pad(images, (1, 1, 1, 1), "replicate")
    across = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2
    down = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2
    return torch.hypot(across, down).amax(dim=1, keepdim=True)


def unlike_the_border(images: Tensor) -> Tensor:
    """How far (B, 1, H, W) colours are from those at the picture's border, in their standard deviations (Mahalanobis).

    That a border shows background is the prior of Wei et al. (ECCV 2012); it also adapts to a patterned one. Pictures
    are first blurred over 3 pixels. Distances count less towards the edges.
    """
    height, width = images.shape[-2:]
    blurred = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), "replicate"), 3, 1).flatten(2)
    rim = max(1, round(BORDER * min(height, width)))
    inner = torch.zeros(height, width, dtype=torch.bool)
    inner[rim : height - rim, rim : width - rim] = True
    border = blurred.index_select(2, (~inner).flatten().nonzero()[:, 0].to(images.device))
    mean = border.mean(dim=2, keepdim=True)
    spread = border - mean
    noise = LEAST_VARIANCE * torch.eye(images.shape[1], dtype=images.dtype, device=images.device)
    off = blurred - mean
    squared = (off * torch.linalg.solve(spread @ spread.mT / border.shape[2] + noise, off)).sum(dim=1)
    far = squared.clamp(min=0).sqrt().view(len(images), 1, height, width)
    down, across = (torch.linspace(-1, 1, side, dtype=images.dtype, device=images.device) for side in (height, width))
    return far * torch.exp(-(down[:, None].square() + across.square()) / (2 * CENTRE**2))


def stands_out(images: Tensor, way: Way = "auto", edges: float = 0.5) -> Tensor:
    """How much each place of images (B, C, H, W) in [0, 1] stands out, (B, 1, H, W), at least 0.

    edges: the root of intensity plus `edges` times |gradient|, for bright things on a dark ground; surround: the root
    of `unlike_the_border`, for photographs; auto: edges of grey pictures, surround of coloured ones. Roots, because a
    threshold on plain values would cut the dark half off a thing.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.is_floating_point():
        raise ValueError(f"images: expected float (B, 1 or 3, H, W), got {images.dtype} {tuple(images.shape)}")
    if way not in get_args(Way):
        raise ValueError(f"way: {way!r} is not one of {', '.join(get_args(Way))}")
    if edges < 0:
        raise ValueError(f"edges: expected 0 or more, got {edges}")
    if way == "edges" or (way == "auto" and images.shape[1] == 1):
        return (images.mean(dim=1, keepdim=True) + edges * slope(images)).sqrt()
    return unlike_the_border(images.float()).sqrt().to(images.dtype)


def salient(images: Tensor, way: Way = "auto", edges: float = 0.5, times: float = 1.0) -> Tensor:
    """The mask (B, 1, H, W) bool of what stands out in each picture: above Otsu's threshold, times `times`; by surround
    its largest connected piece alone. Where nothing does, everything is kept."""
    score = stands_out(images, way, edges)
    kept = score > times * otsu(score)[:, None, None, None]
    if way == "surround" or (way == "auto" and images.shape[1] == 3):
        kept = largest_piece(kept)
    return kept | ~kept.flatten(1).any(dim=1)[:, None, None, None]


def in_front_of(images: Tensor, kept: Tensor, behind: Tensor) -> Tensor:
    """What is kept of images (B, C, H, W), and `behind`, of the same shape, elsewhere. kept: (B, 1, H, W) bool."""
    if kept.dtype != torch.bool:
        raise ValueError(f"kept: a mask is boolean, got {kept.dtype}; compare it with a threshold first")
    if kept.shape != images[:, :1].shape:
        raise ValueError(f"kept: expected shape {tuple(images[:, :1].shape)}, one mask an image, "
                         f"got {tuple(kept.shape)}")  # fmt: skip
    return torch.where(kept, images, behind)


def alone(images: Tensor, kept: Tensor) -> Tensor:
    """Backgrounds (B, C, H, W) without the thing: the mean of what is not kept in its place."""
    outside = ~kept
    count = outside.sum(dim=(2, 3), keepdim=True).clamp(min=1)
    return torch.where(kept, (images * outside).sum(dim=(2, 3), keepdim=True) / count, images)


def largest_piece(masks: Tensor) -> Tensor:
    """Of masks (B, 1, H, W) bool each one's largest piece: pixels joined by their sides. The lower of two equal ones.

    The largest number in a run is carried along rows and columns, to and fro, until no number moves.
    """
    if masks.dtype != torch.bool or masks.ndim != 4 or masks.shape[1] != 1:
        raise ValueError(f"masks: expected bool (B, 1, H, W), got {masks.dtype} {tuple(masks.shape)}")
    numbers = torch.arange(1, masks[0].numel() + 1, device=masks.device).view(masks.shape[1:]) * masks
    while True:
        carried = numbers
        for dim in (2, 3):
            carried = _carry(_carry(carried, masks, dim).flip(dim), masks.flip(dim), dim).flip(dim)
        if torch.equal(carried, numbers):
            break
        numbers = carried
    flat = numbers.flatten(1)
    sizes = flat.new_zeros(len(flat), flat.shape[1] + 1).scatter_add_(1, flat, torch.ones_like(flat))
    sizes[:, 0] = 0
    last = sizes.shape[1] - 1 - sizes.flip(1).argmax(dim=1, keepdim=True)
    return (flat == last).view_as(masks) & masks


def _carry(numbers: Tensor, inside: Tensor, dim: int) -> Tensor:
    """The largest number so far along `dim`, begun anew wherever one leaves the mask."""
    begun = (~inside).long().cumsum(dim) * (numbers[0].numel() + 1)
    return ((numbers + begun).cummax(dim).values - begun) * inside
