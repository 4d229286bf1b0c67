import torch

from engine.data import open_data
from engine.data.base import Facts
from engine.data.strangers import strangers


def test_strange_pictures_take_the_shape_and_colour_that_a_model_knows():
    found = strangers(open_data("cutouts", "test"), Facts(1, 20, ("a", "b")), 7)
    assert found.shape == (7, 1, 20, 20)
    assert found.dtype == torch.float32
    assert 0 <= found.min() < found.max() <= 1
    assert len({picture.numpy().tobytes() for picture in found}) == 7
