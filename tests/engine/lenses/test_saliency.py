"""Hidden parts against a loop over pixels, slopes against differences."""

import pytest
import torch
from torch import nn

from engine.bench import Bench, Setup
from engine.data.base import Facts
from engine.lenses.classifier import Classifies
from engine.lenses.saliency import WHERE, edges, input_gradient, occlusion, over_pixels


class Net(nn.Module):
    def __init__(self, pixels=3 * 11 * 13):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(pixels, 3, generator=generator) / 8)

    def forward(self, images):
        return (images.flatten(1) @ self.weight.to(images.dtype)).tanh() * 3


def picture():
    return torch.rand(1, 3, 11, 13, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("fill", ["grey", "black", "mean"])
@pytest.mark.parametrize("cells", [1, 3, 11])
def test_it_is_the_loop_over_parts(fill, cells):
    model, image = Net(), picture()
    found = occlusion(model, image, 2, cells, fill)
    whole = model(image).softmax(1)[0, 2]
    for r in range(cells):
        for c in range(cells):
            hidden = image.clone()
            for y in range(11):
                for x in range(13):
                    if round(r * 11 / cells) <= y < round((r + 1) * 11 / cells) and (
                        round(c * 13 / cells) <= x < round((c + 1) * 13 / cells)
                    ):
                        for channel in range(3):
                            mean = image[0, channel].mean()
                            hidden[0, channel, y, x] = {"grey": 0.5, "black": 0.0, "mean": float(mean)}[fill]
            assert found[r, c].item() == pytest.approx((whole - model(hidden).softmax(1)[0, 2]).item(), abs=1e-6)


def test_every_pixel_has_the_value_of_its_part():
    grid = torch.arange(9.0).view(3, 3)
    spread = over_pixels(grid, 11, 13)
    assert spread.shape == (1, 11, 13)
    for y in range(11):
        for x in range(13):
            row = next(r for r in range(3) if round(r * 11 / 3) <= y < round((r + 1) * 11 / 3))
            column = next(c for c in range(3) if round(c * 13 / 3) <= x < round((c + 1) * 13 / 3))
            assert spread[0, y, x] == grid[row, column]
    assert edges(28, 7) == list(range(0, 29, 4))
    with pytest.raises(ValueError, match="cells: a side of 5 pixels has 1 to 5 cells, got 6"):
        edges(5, 6)


def test_the_slope_is_that_of_small_differences():
    model, image = Net().double(), picture().double()
    found = input_gradient(model, image, 1)
    for y, x in ((0, 0), (5, 7), (10, 12)):
        slow = 0.0
        for channel in range(3):
            up, down = image.clone(), image.clone()
            up[0, channel, y, x] += 1e-5
            down[0, channel, y, x] -= 1e-5
            slow += abs(float((model(up).log_softmax(1) - model(down).log_softmax(1))[0, 1].detach()) / 2e-5)
        assert found[0, y, x].item() == pytest.approx(slow, rel=1e-5)
    assert all(weight.grad is None for weight in model.parameters())


def test_the_lens_says_which_part_it_needs_most():
    class Corner(nn.Module):
        def forward(self, images):
            score = 8 * images[:, :, :4, -4:].mean(dim=(1, 2, 3))
            return torch.stack([torch.zeros_like(score), score], dim=1)

    image = torch.zeros(1, 1, 16, 16)
    image[..., :4, -4:] = 1
    model = Classifies(Corner(), Facts(1, 16, ("none", "corner")))
    with torch.no_grad():
        (told,) = WHERE.answers(
            model, WHERE.params.make({"cells": 4, "fill": "black"}), image, Bench(Setup(device="cpu"))
        )
    assert told["in_words"] == ["corner, 100%. Hiding one part, in row 1 and column 4, leaves 50%."]
    assert told["falls_when_hidden"][0, :4, -4:].min() > 0.49
    assert told["falls_when_hidden"][0, 4:].abs().max() < 1e-6
    assert told["slope"][0, 4:].abs().max() == 0
    assert told["picture"].shape == (1, 3, 16, 16)
