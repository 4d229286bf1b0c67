import math

import pytest
import torch
import torchvision.transforms as T
import torchvision.transforms.functional as V
from scipy.stats import ks_2samp

from engine.augment import filters, views
from engine.augment.views import Blur, Crop, Grey, Jitter, Shift, Solarize, View

RECIPES = {
    "simclr": views.simclr(),
    "simclr, all of it": views.simclr(strength=0.5, area=(0.2, 1.0), solarize=0.5),
    "moco_v1": views.moco_v1(),
    "moco_v2": views.moco_v2(),
    "weak": views.weak(),
    "crop_flip": views.crop_flip(),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(batch, channels=3, height=28, width=28):
    coarse = torch.rand(batch, channels, 5, 6, generator=seeded(batch))
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 28, 28), (3, 32, 40), (3, 96, 96)])
def test_a_recipe_takes_any_images_and_gives_floats_between_0_and_1(name, channels, height, width):
    images = pictures(24, channels, height, width)
    view = RECIPES[name](images, seeded())
    assert view.shape == images.shape
    assert view.dtype == torch.float32
    assert view.min() >= 0
    assert view.max() <= 1
    assert not torch.equal(view, images)
    assert torch.equal(view, RECIPES[name](images, seeded()))
    assert not torch.equal(view, RECIPES[name](images, seeded(1)))
    eight_bit = (images * 255).round().to(torch.uint8)
    assert torch.equal(RECIPES[name](eight_bit, seeded()), RECIPES[name](eight_bit.float() / 255, seeded()))


@pytest.mark.parametrize("name", RECIPES)
def test_an_image_does_not_depend_on_its_neighbours(name):
    images = pictures(12)
    others = images.clone()
    others[1::2] = pictures(6).flip(2)
    torch.testing.assert_close(RECIPES[name](images, seeded())[::2], RECIPES[name](others, seeded())[::2])


def test_a_size_may_be_asked_for():
    for recipe in (views.simclr, views.moco_v1, views.moco_v2, views.crop_flip):
        assert recipe(size=20)(pictures(3, 3, 32, 40), seeded()).shape == (3, 3, 20, 20)


@pytest.mark.parametrize("name", RECIPES)
def test_the_host_never_waits_for_the_images(watch, name):
    """A question about images on "meta" is an error, and a copy to them must not block."""
    with watch() as seen:
        view = RECIPES[name](torch.empty(16, 3, 32, 32, device="meta"), seeded())
    assert view.shape == (16, 3, 32, 32)
    assert not seen.waits


@pytest.mark.parametrize("size", [(32, 32), (224, 160), (20, 60)])
@pytest.mark.parametrize("area", [(0.08, 1.0), (0.2, 1.0)])
def test_crops_are_distributed_as_torchvisions(size, area):
    height, width = size
    x1, y1, x2, y2 = Crop(area).draw(20_000, size, seeded()).unbind(dim=1)
    ours = torch.stack((y1, x1, y2 - y1, x2 - x1), dim=1)
    torch.manual_seed(0)
    image = torch.empty(1, height, width)
    theirs = torch.tensor(
        [T.RandomResizedCrop.get_params(image, list(area), [3 / 4, 4 / 3]) for _ in range(3000)], dtype=torch.float
    )
    for each, other in zip(ours.unbind(dim=1), theirs.unbind(dim=1), strict=True):
        assert ks_2samp(each, other).pvalue > 1e-3


def test_crops_lie_inside_and_keep_their_share_and_shape():
    x1, y1, x2, y2 = Crop((0.2, 0.6)).draw(5000, (100, 80), seeded()).unbind(dim=1)
    assert min(x1.min(), y1.min()) == 0
    assert (x2.max(), y2.max()) == (80, 100)
    share, shape = (x2 - x1) * (y2 - y1) / 8000, (x2 - x1) / (y2 - y1)
    assert share.min() > 0.19
    assert share.max() < 0.61
    assert abs(share.mean() - 0.4) < 0.01
    assert shape.log().abs().max() < math.log(4 / 3) + 0.05


def test_what_cannot_fit_is_cut_about_the_centre():
    # 10 x 100 pixels: the widest part with an aspect of at most 4/3 is 13 x 10, and nothing of 90 % of the area fits.
    assert Crop((0.9, 1.0)).draw(3, (10, 100), seeded()).tolist() == [[43.0, 0.0, 56.0, 10.0]] * 3
    assert T.RandomResizedCrop.get_params(torch.empty(1, 10, 100), [0.9, 1.0], [3 / 4, 4 / 3]) == (0, 43, 10, 13)


def test_the_whole_image_or_its_mirror_image():
    images = pictures(64)
    whole = Crop((1.0, 1.0), (1.0, 1.0), flip=0.5)(images, seeded())
    same = (whole - images).abs().amax(dim=(1, 2, 3)) < 1e-5
    mirrored = (whole - images.flip(-1)).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert (same ^ mirrored).all()
    assert 16 < mirrored.sum() < 48


def test_a_shift_is_a_crop_of_the_padded_image():
    images = pictures(200, 3, 12, 16)
    moved = Shift(0.125, flip=0.5)(images, seeded())
    padded = torch.nn.functional.pad(images, (2, 2, 2, 2), mode="reflect")
    # 12 rows move by at most round(1.5) = 2 pixels, as do the 16 columns; all 50 outcomes must occur.
    seen = set()
    for whole, one in zip(padded, moved, strict=True):
        windows = {
            (top, left, flip): torch.equal(one, cut.flip(-1) if flip else cut)
            for top in range(5)
            for left in range(5)
            for cut in [whole[:, top : top + 12, left : left + 16]]
            for flip in (False, True)
        }
        assert sum(windows.values()) == 1
        seen |= {which for which, equal in windows.items() if equal}
    assert len(seen) > 45
    zeros = Shift(0.25, flip=0.0, border="zeros")(torch.ones(50, 1, 8, 8), seeded())
    assert zeros.unique().tolist() == [0.0, 1.0]
    assert zeros.mean(dim=(1, 2, 3)).min() == 36 / 64


@pytest.mark.parametrize("channels", [1, 3])
def test_jitter_is_torchvisions_in_each_images_own_order(channels):
    images, jitter = pictures(30, channels), Jitter(0.8, 0.8, 0.8, 0.2, p=0.8)
    amount, order = jitter.draw(30, seeded())
    got = jitter.apply(images, amount, order)
    theirs = (V.adjust_brightness, V.adjust_contrast, V.adjust_saturation, V.adjust_hue)
    for image, amounts, steps, one in zip(images, amount.tolist(), order.tolist(), got, strict=True):
        for step in steps:
            if step >= 0:
                image = theirs[step](image, amounts[step] + (1 if step < 3 else 0))
        torch.testing.assert_close(one, image, rtol=0, atol=1e-5)


def test_jitter_draws_strengths_orders_and_who_is_left_alone():
    amount, order = Jitter(0.8, 0.4, 1.5, 0.1, p=0.75).draw(24_000, seeded())
    for column, (least, most) in enumerate([(-0.8, 0.8), (-0.4, 0.4), (-1.0, 1.5), (-0.1, 0.1)]):
        middle, width = (least + most) / 2, most - least
        assert least <= amount[:, column].min()
        assert amount[:, column].max() <= most
        assert abs(amount[:, column].mean() - middle) < 3.5 * width / 12**0.5 / 24_000**0.5
    alone = (order == -1).all(dim=1)
    assert abs(alone.double().mean() - 0.25) < 3.5 * (0.25 * 0.75 / 24_000) ** 0.5
    orders, counts = order[~alone].unique(dim=0, return_counts=True)
    assert len(orders) == 24
    expected = (~alone).sum() / 24
    # Chi-square with 23 degrees of freedom exceeds 49.7 once in a thousand.
    assert ((counts - expected).square() / expected).sum() < 49.7


def test_no_jitter_changes_nothing():
    images = pictures(6)
    for jitter in (Jitter(0, 0, 0, 0, p=1.0), Jitter(0.8, 0.8, 0.8, 0.2, p=0.0)):
        assert torch.equal(jitter(images, seeded()), images)


def test_hues_turn_as_in_torchvision():
    images = torch.rand(9, 3, 8, 8, generator=seeded())
    images[0], images[1, 0], images[2, 1:] = 0.3, 0.0, 1.0  # grey, without red, with ties of green and blue
    turn = torch.linspace(-0.5, 0.5, 9)
    want = torch.stack([V.adjust_hue(image, by) for image, by in zip(images, turn.tolist(), strict=True)])
    torch.testing.assert_close(filters.hue(images, turn), want, rtol=0, atol=1e-5)
    # A third of the circle takes red to green, green to blue, blue to red.
    torch.testing.assert_close(filters.hue(images, torch.full((9,), 1 / 3)), images.roll(1, dims=1), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("height", "width", "radius"), [(28, 28, 1), (32, 40, 3), (24, 24, 11)])
def test_blur_is_torchvisions_with_a_sigma_an_image(height, width, radius):
    images, sigma = pictures(5, 3, height, width), torch.tensor([0.1, 0.5, 1.0, 1.7, 3.0])
    kernel, pairs = 2 * radius + 1, zip(images, sigma.tolist(), strict=True)
    want = torch.stack([V.gaussian_blur(image, kernel, by) for image, by in pairs])
    blurred = filters.gaussian_blur(images, sigma, radius)
    torch.testing.assert_close(blurred, want, rtol=0, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(filters.gaussian_blur(images, sigma, radius), blurred)


def test_blur_keeps_a_flat_image_and_small_ones_are_blurred_little():
    flat = torch.full((8, 3, 28, 28), 0.25)
    torch.testing.assert_close(Blur(p=1.0)(flat, seeded()), flat)
    point = torch.zeros(200, 1, 28, 28)
    point[..., 14, 14] = 1.0
    blurred = Blur(p=1.0)(point, seeded())
    # Radius 1, so sigma is at most 1, and the centre keeps at least (1 / (1 + 2 exp(-1/2)))^2.
    assert blurred[..., 14, 14].min() >= (1 / (1 + 2 * math.exp(-0.5))) ** 2 - 1e-6
    assert blurred[..., 12, :].max() == 0


@pytest.mark.parametrize(("step", "theirs"), [
    (Grey, lambda images: V.rgb_to_grayscale(images, 3)), (Solarize, lambda images: V.solarize(images, 0.5)),
])  # fmt: skip
def test_grey_and_solarize_happen_to_their_share_of_images(step, theirs):
    images = pictures(600, 3, 6, 6)
    done = step(p=0.3)(images, seeded())
    changed = (done - theirs(images)).abs().amax(dim=(1, 2, 3)) < 1e-6
    assert torch.equal(done[~changed], images[~changed])
    assert abs(changed.double().mean() - 0.3) < 3.5 * (0.3 * 0.7 / 600) ** 0.5


def test_the_recipes_are_the_published_ones():
    s = 0.5
    assert views.simclr(strength=s).steps == (
        Crop((0.08, 1.0)), Jitter(0.4, 0.4, 0.4, 0.1, p=0.8), Grey(0.2), Blur(0.5, (0.1, 2.0)), Solarize(0.0),
    )  # fmt: skip
    assert views.moco_v1().steps == (Crop((0.2, 1.0)), Grey(0.2), Jitter(0.4, 0.4, 0.4, 0.4, p=1.0))
    assert views.moco_v2().steps == (
        Crop((0.2, 1.0)), Jitter(0.4, 0.4, 0.4, 0.1, p=0.8), Grey(0.2), Blur(0.5, (0.1, 2.0)),
    )  # fmt: skip
    assert views.crop_flip().steps == (Crop((0.2, 1.0), flip=0.5),)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Crop((0.0, 1.0)), r"area: expected 0 < least <= most <= 1, got \(0.0, 1.0\)"),
        (lambda: Crop(aspect=(2.0, 1.0)), "aspect: expected 0 < least <= most"),
        (lambda: Crop(size=0), "size: expected 1 pixel or more, got 0"),
        (lambda: Crop(flip=1.5), "flip: expected a probability from 0 to 1, got 1.5"),
        (lambda: Shift(0.6), "share: expected 0 to 0.5 of the side, got 0.6"),
        (lambda: Shift(border="wrap"), "border: 'wrap' is neither"),
        (lambda: Jitter(-0.1, 0, 0, 0), "brightness: expected 0 or more, got -0.1"),
        (lambda: Jitter(0, 0, 0, 0.6), "hue: expected 0 to 0.5 of the circle, got 0.6"),
        (lambda: Blur(sigma=(0.0, 1.0)), "sigma: expected 0 < least <= most"),
        (lambda: Grey(-1), "p: expected a probability from 0 to 1, got -1"),
        (lambda: filters.gaussian_blur(pictures(1), torch.ones(1), 28), "radius: expected 1 to 27 for 28 x 28 pixels"),
        (lambda: View((Grey(),))(torch.randn(2, 3, 8, 8), seeded()), "augment before the mean is subtracted"),
        (lambda: View((Grey(),))(torch.rand(3, 8, 8), seeded()), r"expected shape \(B, 1 or 3, H, W\)"),
    ],
)
def test_bad_input_is_named(make, says):
    with pytest.raises(ValueError, match=says):
        make()
