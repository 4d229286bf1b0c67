"""Masks that keep most of what a head looks at, and the lens over a transformer at several sizes of picture."""

import pytest
import torch

from engine.bench import Bench, Setup
from engine.lenses.attention import HEADS, keeps, over_pixels
from engine.nets.vit import ClassToken


def by_hand(row, mass):
    """facebookresearch/dino's visualize_attention.py: sort upwards, keep what is beyond 1 - mass of the running sum."""
    order = sorted(range(len(row)), key=lambda i: row[i])
    kept, running = [False] * len(row), 0.0
    for i in order:
        running += row[i]
        kept[i] = running / sum(row) > 1 - mass
    return kept


@pytest.mark.parametrize("mass", [0.05, 0.3, 0.6, 1.0])
def test_what_is_kept_is_what_the_release_keeps(mass):
    shares = torch.rand(3, 4, 49, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(dim=2)
    kept = keeps(shares, mass)
    for row, told in zip(shares.flatten(0, 1).tolist(), kept.flatten(0, 1).tolist(), strict=True):
        assert told == by_hand(row, mass)
    held = (shares * kept).sum(dim=2)
    assert (held >= mass - 1e-9).all()
    least = torch.where(kept, shares, 2.0).amin(dim=2)
    assert (held - least < mass + 1e-9).all(), "one patch fewer would not do"


def test_a_single_patch_with_everything_is_kept_alone_and_scale_means_nothing():
    shares = torch.zeros(9)
    shares[4] = 3.0
    assert keeps(shares, 0.6).nonzero().flatten().tolist() == [4]
    shares = torch.rand(9)
    assert torch.equal(keeps(shares, 0.6), keeps(shares * 7, 0.6))
    with pytest.raises(ValueError, match="mass: expected more than 0"):
        keeps(shares, 0.0)


def test_each_patch_fills_its_square():
    spread = over_pixels(torch.arange(4.0)[None], torch.zeros(1, 1, 6, 6))
    assert spread.shape == (1, 6, 6)
    assert spread[0, :3, :3].unique().tolist() == [0]
    assert spread[0, 3:, :3].unique().tolist() == [2]


@pytest.mark.parametrize("larger", [1, 2])
def test_the_lens_shows_a_row_a_head_after_their_mean(larger):
    torch.manual_seed(0)
    model, picture = ClassToken(1, 12, 4, 16, 2, 4).eval(), torch.rand(1, 1, 12, 12)
    knobs = HEADS.params.make({"larger": larger, "block": 2})
    (answer,) = HEADS.answers(model, knobs, picture, Bench(Setup(device="cpu")))
    side = 12 * larger
    assert answer["picture"].shape == (5, 3, side, side)
    assert answer["head"] == ["all", "1", "2", "3", "4"]
    assert answer["looks at"].shape == answer["kept"].shape == (5, side, side)
    torch.testing.assert_close(answer["looks at"].sum(dim=(1, 2)), torch.full((5,), 16.0))
    if larger == 1:
        first = model.attention(picture)[0][0, :, 0, 1:]
        torch.testing.assert_close(answer["looks at"][1:, ::4, ::4].flatten(1), first / first.sum(1, keepdim=True))
    assert (answer["as if evenly over"] <= 9 * larger**2 + 1e-3).all()


def test_too_fine_a_map_is_refused():
    model = ClassToken(1, 40, 2, 16, 1, 4)
    with pytest.raises(ValueError, match="larger: 1600 patches are too many; at most 1024"):
        list(HEADS.answers(model, HEADS.params.make({"larger": 2}), torch.rand(1, 1, 40, 40), Bench(Setup())))
