"""Other backgrounds: what is kept stays, how often one is drawn, what stands behind, and what is refused."""

import pytest
import torch

from engine.augment.background import OtherBackground
from engine.augment.views import Crop, View
from engine.data import open_data
from engine.ops.salient import alone, in_front_of, salient
from engine.ops.warp import resized_crop


@pytest.fixture(scope="module")
def garments():
    return open_data("garments", "test").batch(torch.arange(64)).to("cpu").images


def dice(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("behind", ["grey", "noise", "another"])
def test_what_stands_out_stays_and_the_rest_does_not(garments, behind):
    kept, seen = salient(garments), OtherBackground(1.0, behind)(garments, dice())
    assert torch.equal(seen[kept], garments[kept])
    if behind == "grey":
        assert (seen[~kept] == 0.5).all()
    if behind == "noise":
        assert seen[~kept].mean().item() == pytest.approx(0.5, abs=0.01)
        assert seen[~kept].std().item() == pytest.approx(12**-0.5, abs=0.01)


def test_another_background_is_that_of_another_picture():
    """Four discs, each on its own grey: what is behind one is the grey of another."""
    across = torch.linspace(-1, 1, 32)
    disc = (across[:, None].square() + across.square() < 0.2)[None, None]
    greys = torch.tensor([0.1, 0.2, 0.3, 0.4])[:, None, None, None]
    images = torch.where(disc, torch.tensor(1.0), greys.expand(4, 1, 32, 32))
    step = OtherBackground(1.0, "another", "surround")
    seen = step(images, dice())
    for place, corner in enumerate(seen[:, 0, 0, 0].tolist()):
        assert min(abs(corner - grey) for i, grey in enumerate(greys.flatten().tolist()) if i != place) < 1e-6
    torch.testing.assert_close(step(images[:1], dice()), images[:1])  # alone, its own


def test_a_thing_leaves_the_mean_of_what_is_around_it():
    images = torch.rand(3, 3, 8, 8, generator=dice())
    kept = torch.zeros(3, 1, 8, 8, dtype=torch.bool)
    kept[:, :, 2:5, 2:5] = True
    ground = alone(images, kept)
    for image, left in zip(images, ground, strict=True):
        mean = (image.sum(dim=(1, 2)) - image[:, 2:5, 2:5].sum(dim=(1, 2))) / 55
        torch.testing.assert_close(left[:, 2:5, 2:5], mean[:, None, None].expand(3, 3, 3))
        assert torch.equal(left[:, :2], image[:, :2])


def test_it_is_drawn_as_often_as_said_and_not_at_all_at_0(garments):
    assert OtherBackground(0.0)(garments, dice()) is garments
    many = garments.repeat(20, 1, 1, 1)
    changed = (OtherBackground(0.3)(many, dice()) != many).flatten(1).any(dim=1).float().mean().item()
    assert changed == pytest.approx(0.3, abs=4 * (0.21 / len(many)) ** 0.5)


def test_picture_and_mask_are_cropped_alike(garments):
    """What a view shows is the crop of the whole picture on its new ground, not of a mask found in the crop."""
    seen = View((OtherBackground(1.0), Crop((0.2, 0.5), flip=0.0)))(garments, dice(3))
    host = dice(3)
    torch.rand(len(garments), generator=host)  # who is drawn
    boxes = Crop((0.2, 0.5), flip=0.0).draw(len(garments), (28, 28), host)
    whole = in_front_of(garments, salient(garments), torch.full_like(garments, 0.5))
    torch.testing.assert_close(seen, resized_crop(whole, boxes, (28, 28)))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: OtherBackground(1.5), "p: expected a probability from 0 to 1, got 1.5"),
        (lambda: OtherBackground(0.5, "white"), "behind: 'white' is not one of grey, noise, another"),
        (lambda: in_front_of(torch.ones(2, 1, 4, 4), torch.ones(2, 1, 4, 4), torch.ones(2, 1, 4, 4)),
         "a mask is boolean, got torch.float32"),
        (lambda: in_front_of(torch.ones(2, 1, 4, 4), torch.ones(2, 1, 3, 4).bool(), torch.ones(2, 1, 4, 4)),
         r"expected shape \(2, 1, 4, 4\), one mask an image, got \(2, 1, 3, 4\)"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(call, said):
    with pytest.raises(ValueError, match=said):
        call()
