import pytest
import torch

from engine.data.scenes import Scenes


@pytest.fixture(scope="session")
def scenes96():
    """Twelve rendered scenes of up to five objects with everything about them, and their dataset."""
    dataset = Scenes("scene96", count=200)
    return dataset, dataset.render(torch.arange(12)), dataset.batch(torch.arange(12))
