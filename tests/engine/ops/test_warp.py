import math

import pytest
import torch
import torchvision.transforms.functional as V
from torchvision.transforms import InterpolationMode

from engine.ops import warp as w


def pictures(batch=6, channels=3, height=20, width=27):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (batch, channels, height, width), dtype=torch.uint8, generator=generator)


def by_definition(image, matrix, fill):
    """Nearest pixel by loops: where output pixel (x, y) comes from, in pixels about the centre."""
    height, width = image.shape[1:]
    drawn = torch.full_like(image, fill)
    for y in range(height):
        for x in range(width):
            out = torch.tensor([x - (width - 1) / 2, y - (height - 1) / 2, 1.0], dtype=torch.float64)
            from_x, from_y = (matrix.double() @ out).tolist()
            column, row = round(from_x + (width - 1) / 2), round(from_y + (height - 1) / 2)
            if 0 <= column < width and 0 <= row < height:
                drawn[:, y, x] = image[:, row, column]
    return drawn


def test_nearest_is_the_definition():
    images = pictures(3)
    # Irrational entries, so that no pixel comes from exactly between two others.
    matrix = torch.eye(2, 3).repeat(3, 1, 1) + torch.tensor([[0.1, -0.2, 1.3], [0.3, 0.05, -2.1]]) * math.pi / 4
    matrix = matrix * torch.tensor([1.0, 0.7, -1.0])[:, None, None]
    drawn = w.warp(images, matrix, "nearest", fill=9)
    for image, one, got in zip(images, matrix, drawn, strict=True):
        assert torch.equal(got, by_definition(image, one, 9))


def theirs(image, name, value, interpolation, fill):
    mode, fill = InterpolationMode(interpolation), None if fill is None else list(fill)
    if name == "rotation":
        return V.rotate(image, value, mode, fill=fill)
    asked = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]}
    asked |= {
        "shear_x": {"shear": [math.degrees(math.atan(value)), 0.0], "center": [0, 0]},
        "shear_y": {"shear": [0.0, math.degrees(math.atan(value))], "center": [0, 0]},
        "translation": {"translate": [int(value), int(-2 * value)]},
        "zoom": {"scale": value},
    }[name]
    return V.affine(image, **asked, interpolation=mode, fill=fill)


MATRICES = {
    "rotation": (w.rotation, [-170.0, -33.3, 0.0, 12.5, 90.0, 180.0]),
    "shear_x": (lambda slope: w.shear_x(slope, 20), [-0.3, -0.04, 0.0, 0.12, 0.25, 0.9]),
    "shear_y": (lambda slope: w.shear_y(slope, 27), [-0.3, -0.04, 0.0, 0.12, 0.25, 0.9]),
    "translation": (lambda right: w.translation(right, -2 * right), [-30.0, -3.0, 0.0, 1.0, 2.0, 9.0]),
    "zoom": (w.zoom, [0.5, 0.75, 1.0, 1.1, 1.5, 2.0]),
}


@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("fill", [None, (7.0,), (255.0, 0.0, 40.0)])
def test_equal_to_torchvision_image_by_image(name, interpolation, fill):
    images = pictures()
    make, values = MATRICES[name]
    matrix = make(torch.tensor(values, dtype=torch.float64)).float()
    drawn = w.warp(images, matrix, interpolation, fill or 0.0)
    want = torch.stack(
        [theirs(image, name, value, interpolation, fill) for image, value in zip(images, values, strict=True)]
    )
    assert torch.equal(drawn, want)
    fills = None if fill is None else [value / 255 for value in fill]
    floats = images.float() / 255
    want = torch.stack(
        [theirs(image, name, value, interpolation, fills) for image, value in zip(floats, values, strict=True)]
    )
    torch.testing.assert_close(w.warp(floats, matrix, interpolation, fills or 0.0), want, rtol=0, atol=1e-5)


def test_turning_and_turning_back_moves_nothing():
    angle = torch.tensor([0.3, 44.0, -123.0], dtype=torch.float64)

    def square(matrix):
        return torch.cat([matrix, torch.tensor([0.0, 0.0, 1.0]).double().expand(3, 1, 3)], dim=1)

    there_and_back = square(w.rotation(angle)) @ square(w.rotation(-angle))
    torch.testing.assert_close(there_and_back, torch.eye(3).double().expand(3, 3, 3))


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_the_identity_leaves_uint8_as_it_is(interpolation):
    images = pictures()
    assert torch.equal(w.warp(images, torch.eye(2, 3).expand(6, 2, 3), interpolation), images)


def test_autocast_leaves_the_grid_as_precise_as_it_is():
    images, matrix = pictures(), w.rotation(torch.linspace(-40, 40, 6))
    with torch.autocast("cpu", torch.bfloat16):
        inside = w.warp(images, matrix)
    assert torch.equal(inside, w.warp(images, matrix))


def test_bad_arguments_are_named():
    images = pictures()
    with pytest.raises(ValueError, match=r"matrix: expected shape \(6, 2, 3\).*\(1, 2, 3\)"):
        w.warp(images, torch.eye(2, 3)[None])
    with pytest.raises(ValueError, match="interpolation: 'cubic' is not one of nearest, bilinear"):
        w.warp(images, torch.eye(2, 3).expand(6, 2, 3), "cubic")
    with pytest.raises(ValueError, match="fill: expected 1 or 3 values for 3 channels, got 2"):
        w.warp(images, torch.eye(2, 3).expand(6, 2, 3), fill=[1, 2])
    with pytest.raises(ValueError, match=r"boxes: expected shape \(6, 4\)"):
        w.resized_crop(images.float(), torch.zeros(2, 4), (8, 8))


BOXES = torch.tensor(
    [[0, 0, 27, 20], [3, 2, 14, 9], [26, 19, 27, 20], [0, 5, 6, 20], [10, 0, 27, 3], [2, 2, 25, 18]],
    dtype=torch.float32,
)


@pytest.mark.parametrize("size", [(20, 27), (28, 28), (40, 33)])
def test_crops_are_torchvisions_to_the_border(size):
    images = pictures().float() / 255
    flip = torch.tensor([False, True, True, False, True, False])
    got = w.resized_crop(images, BOXES, size, flip)
    for image, (x1, y1, x2, y2), mirrored, one in zip(images, BOXES.int().tolist(), flip.tolist(), got, strict=True):
        want = V.resized_crop(image, y1, x1, y2 - y1, x2 - x1, list(size), antialias=False)
        torch.testing.assert_close(one, V.hflip(want) if mirrored else want, rtol=0, atol=1e-5)


def test_a_crop_reads_nothing_outside_its_box():
    images = torch.full((1, 1, 12, 12), 1000.0)
    images[..., 4:8, 3:9] = 0.5
    crop = w.resized_crop(images, torch.tensor([[3.0, 4.0, 9.0, 8.0]]), (32, 32))
    # A neighbour may come in with the weight of a rounding error, 1e-6 of its 1000.
    torch.testing.assert_close(crop, torch.full_like(crop, 0.5), rtol=0, atol=2e-3)
