import pytest
import torch
from sklearn.datasets import load_digits


@pytest.fixture(scope="session")
def digits():
    """All digits that ship with scikit-learn: features (1797, 64) and labels (1797,)."""
    found = load_digits()
    return torch.from_numpy(found.data).float(), torch.from_numpy(found.target)
