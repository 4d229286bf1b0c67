"""Otsu's threshold against its definition and libraries, pieces against scipy, and masks against known shapes."""

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage

from engine.data import open_data
from engine.ops.salient import largest_piece, otsu, salient, slope, stands_out


def values(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_trying_all(row, bins):
    """The middle of the bin after which the variance between two classes is largest, each class by its own loop."""
    counts, edges = np.histogram(row, bins)
    middles = (edges[:-1] + edges[1:]) / 2
    best, found = -1.0, 0.0
    for cut in range(bins - 1):
        below, above = counts[: cut + 1], counts[cut + 1 :]
        if below.sum() and above.sum():
            means = [np.average(middles[: cut + 1], weights=below), np.average(middles[cut + 1 :], weights=above)]
            between = below.sum() * above.sum() * (means[0] - means[1]) ** 2
            if between > best + 1e-9:
                best, found = between, middles[cut]
    return found


@pytest.mark.parametrize("bins", [7, 256])
def test_the_threshold_is_the_best_of_all(bins):
    rows = values(0, 5, 200) ** torch.tensor([[1.0], [2.0], [4.0], [0.5], [8.0]])
    expected = [by_trying_all(row.numpy(), bins) for row in rows]
    assert otsu(rows, bins).tolist() == pytest.approx(expected)


def test_the_classes_are_those_of_opencv():
    for seed in range(5):
        picture = (values(seed, 40, 40) ** (seed + 1) * 255).to(torch.uint8)
        picture[0, 0], picture[0, 1] = 0, 255  # so that our bins are grey levels
        _, upper = cv2.threshold(picture.numpy(), 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
        row = picture.double()[None] / 255
        assert torch.equal(row[0] > otsu(row)[0], torch.from_numpy(upper).bool())


def test_a_plain_picture_has_its_value_for_a_threshold_and_is_kept_whole():
    assert otsu(torch.full((1, 9), 0.25)).item() == pytest.approx(0.25)
    assert salient(torch.full((2, 1, 8, 8), 0.5)).all()
    assert salient(torch.full((2, 3, 8, 8), 0.5)).all()


def test_rows_do_not_know_each_other():
    rows = values(2, 4, 50)
    torch.testing.assert_close(otsu(rows), torch.cat([otsu(row[None]) for row in rows]))
    images = values(3, 4, 3, 12, 12)
    assert torch.equal(salient(images), torch.cat([salient(image[None]) for image in images]))


def test_the_largest_piece_is_that_of_scipy():
    masks = values(4, 20, 1, 17, 23) > 0.45
    found = largest_piece(masks)
    for mask, piece in zip(masks[:, 0].numpy(), found[:, 0].numpy(), strict=True):
        labels, _ = ndimage.label(mask)
        sizes = np.bincount(labels.ravel())[1:]
        assert piece.sum() == sizes.max()
        assert (mask | ~piece).all()
        assert len(np.unique(labels[piece])) == 1


def test_a_spiral_is_one_piece_and_nothing_is_none():
    spiral = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 0, 0, 1], [1, 1, 1, 0, 1], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]]).bool()
    assert torch.equal(largest_piece(spiral[None, None])[0, 0], spiral)
    assert not largest_piece(torch.zeros(1, 1, 4, 4, dtype=torch.bool)).any()


def test_a_ramp_is_equally_steep_inside():
    ramp = (torch.arange(6.0) / 10).expand(1, 1, 5, 6)
    torch.testing.assert_close(slope(ramp)[..., 1:-1], torch.full((1, 1, 5, 4), 0.1))


def overlap(one, other):
    both, any_ = (each.flatten(1).sum(dim=1) for each in (one & other, one | other))
    return (both / any_.clamp(min=1)).mean().item()


def test_garments_are_found_on_black():
    images = open_data("garments", "test").batch(torch.arange(300)).to("cpu").images
    assert overlap(salient(images), images > 0.02) > 0.9


def test_things_are_found_on_photographs_better_than_by_guessing_the_middle():
    batch = open_data("scenes:masks32", "test").batch(torch.arange(100)).to("cpu")
    truth = (batch.semantic > 0)[:, None]
    away = torch.linspace(-1, 1, 32)
    middle = (away[:, None].square() + away.square() < 0.5).expand_as(truth)
    found = overlap(salient(batch.images), truth)
    assert found > 0.7
    assert found > overlap(middle, truth) + 0.1


def test_a_coloured_disc_on_a_pattern_stands_out():
    across = torch.linspace(-1, 1, 48)
    disc = (across[:, None].square() + across.square() < 0.16)[None, None]
    pattern = torch.where((torch.arange(48) // 4 % 2 == 0)[None, None, None], 0.2, 0.8).expand(1, 3, 48, 48)
    images = torch.where(disc, torch.tensor([0.9, 0.2, 0.1])[None, :, None, None], pattern)
    assert overlap(salient(images), disc) > 0.8


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: otsu(torch.ones(3)), r"values: expected \(B, \.\.\.\)"),
        (lambda: otsu(torch.ones(3, 4), 1), "bins: expected 2 or more, got 1"),
        (lambda: stands_out(torch.ones(1, 2, 4, 4)), r"images: expected float \(B, 1 or 3, H, W\)"),
        (lambda: stands_out(torch.ones(1, 1, 4, 4, dtype=torch.uint8)), "got torch.uint8"),
        (lambda: stands_out(torch.ones(1, 1, 4, 4), "colour"), "way: 'colour' is not one of auto, edges, surround"),
        (lambda: stands_out(torch.ones(1, 1, 4, 4), "auto", -1.0), "edges: expected 0 or more, got -1.0"),
        (lambda: largest_piece(torch.ones(1, 1, 4, 4)), "masks: expected bool"),
    ],
)
def test_what_cannot_be_is_said(call, said):
    with pytest.raises(ValueError, match=said):
        call()
