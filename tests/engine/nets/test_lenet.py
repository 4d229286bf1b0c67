import pytest
import torch

from engine.nets.lenet import DropoutLeNet


@pytest.mark.parametrize("size", [4, 28, 33])
def test_it_answers_to_pictures_of_any_size(size):
    assert DropoutLeNet(3, 5, 4, 8)(torch.rand(2, 3, size, size)).shape == (2, 5)


def test_parameters_by_hand():
    w, hidden = 6, 10
    convolutions = 9 * (w + 2 * w * w) + 2 * (w + 2 * w)
    connected = (98 * w + 1) * hidden + (hidden + 1) * 4
    assert sum(p.numel() for p in DropoutLeNet(1, 4, w, hidden).parameters()) == convolutions + connected
