"""Every operation against torchvision's, image by image; and what has no counterpart there against its definition."""

import pytest
import torch
import torchvision.transforms.functional as V
import torchvision.transforms.v2.functional as V2

from engine.augment import operations as o

CHANGES = (-1.0, -0.63, -0.09, 0.0, 0.27, 0.9, 1.5)


def pictures(channels=3, height=23, width=30):
    """Seven unlike images: noise, a gradient, flat, nearly flat, black and white, dark with one bright pixel, blobs."""
    generator = torch.Generator().manual_seed(0)
    shape = (channels, height, width)
    noise = torch.randint(0, 256, shape, generator=generator)
    gradient = torch.linspace(20, 200, height * width).view(height, width).expand(shape)
    flat = torch.full(shape, 77)
    nearly = flat + torch.randint(0, 2, shape, generator=generator)
    two = (noise > 128) * 255
    dark = torch.zeros(shape)
    dark[:, 3, 4] = 250
    coarse = torch.rand(1, channels, 4, 5, generator=generator)
    blobs = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")[0] * 255
    return torch.stack([image.to(torch.uint8) for image in (noise, gradient, flat, nearly, two, dark, blobs)])


def each(operation, images, arguments):
    return torch.stack([operation(image, argument) for image, argument in zip(images, arguments, strict=True)])


ENHANCEMENTS = {
    "brightness": (o.brightness, V.adjust_brightness),
    "color": (o.color, V.adjust_saturation),
    "contrast": (o.contrast, V.adjust_contrast),
    "sharpness": (o.sharpness, V.adjust_sharpness),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ENHANCEMENTS)
def test_enhancements_are_torchvisions(name, channels):
    ours, theirs = ENHANCEMENTS[name]
    images = pictures(channels)
    for turn in range(len(CHANGES)):
        changes = torch.tensor(CHANGES).roll(turn)
        factors = [1 + change for change in changes.tolist()]
        assert torch.equal(ours(images, changes), each(theirs, images, factors))
        floats = images.float() / 255
        torch.testing.assert_close(ours(floats, changes), each(theirs, floats, factors), rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_posterize_is_torchvisions(channels):
    images = pictures(channels)
    for bits in range(9):
        asked = [(bits + b) % 9 for b in range(len(images))]
        want = each(V.posterize, images, asked)
        assert torch.equal(o.posterize(images, torch.tensor(asked).float()), want)
        # On floats that are levels of 255: the same levels.
        assert torch.equal(o.posterize(images.float() / 255, torch.tensor(asked).float()), want.float() / 255)


@pytest.mark.parametrize("channels", [1, 3])
def test_solarize_is_torchvisions(channels):
    images = pictures(channels)
    thresholds = torch.tensor([255.0, 0.0, 77.0, 77.5, 128.0, 249.9, 100.0])
    for turn in range(len(thresholds)):
        asked = thresholds.roll(turn)
        assert torch.equal(o.solarize(images, asked), each(V.solarize, images, asked.tolist()))
        floats = images.float() / 255
        want = each(V.solarize, floats, (asked / 255).tolist())
        torch.testing.assert_close(o.solarize(floats, asked), want, rtol=0, atol=1e-5)
    assert torch.equal(o.solarize(images, torch.full((7,), 256.0)), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_autocontrast_and_equalize_are_torchvisions(channels):
    images = pictures(channels)
    floats = images.float() / 255
    assert torch.equal(o.autocontrast(images), V.autocontrast(images))
    torch.testing.assert_close(o.autocontrast(floats), V.autocontrast(floats), rtol=0, atol=1e-5)
    assert torch.equal(o.equalize(images), V.equalize(images))
    torch.testing.assert_close(o.equalize(floats), V2.equalize(floats), rtol=0, atol=1e-5)


def test_equalize_counts_darker_pixels():
    # Four levels of 255 pixels each: step = (1020 - 255) // 255 = 3, so level v goes to (pixels darker + 1) // 3.
    image = torch.tensor([10, 20, 30, 40], dtype=torch.uint8).repeat_interleave(255).view(1, 1, 30, 34)
    levels = o.equalize(image).unique().tolist()
    assert levels == [0, 256 // 3, 511 // 3, 255]


def test_a_doubly_precise_image_stays_so():
    images = pictures().double() / 255
    change = torch.full((7,), 0.4)
    changed = [enhance(images, change) for enhance, _ in ENHANCEMENTS.values()]
    for result in (*changed, o.autocontrast(images), o.equalize(images), o.posterize(images, change)):
        assert result.dtype == torch.float64


@pytest.mark.parametrize("name", ENHANCEMENTS)
def test_a_change_of_minus_one_gives_the_degenerate_image_and_none_the_image(name):
    enhance, images = ENHANCEMENTS[name][0], pictures()
    grey = (0.2989 * images[:, 0] + 0.587 * images[:, 1] + 0.114 * images[:, 2]).floor()[:, None]
    degenerate = {
        "brightness": torch.zeros(7, 3, 23, 30),
        "color": grey.expand(7, 3, 23, 30),
        "contrast": grey.mean(dim=(1, 2, 3), keepdim=True).floor().expand(7, 3, 23, 30),
        "sharpness": smooth_by_definition(images),
    }[name]
    assert torch.equal(enhance(images, torch.full((7,), -1.0)).float(), degenerate)
    assert torch.equal(enhance(images, torch.zeros(7)), images)


def smooth_by_definition(images):
    weight = torch.tensor([[1.0, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    smooth = images.double()
    for y in range(1, images.shape[2] - 1):
        for x in range(1, images.shape[3] - 1):
            around = images[..., y - 1 : y + 2, x - 1 : x + 2].double()
            smooth[..., y, x] = (around * weight).sum(dim=(2, 3)).round()
    return smooth.float()
