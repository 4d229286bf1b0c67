"""Principal axes against scikit-learn, narrow and wide."""

import pytest
import torch
from sklearn.decomposition import PCA

from engine.ops.principal import principal_axes

GENERATOR = torch.Generator().manual_seed(0)


@pytest.mark.parametrize("width", [10, 600])
def test_axes_are_those_of_scikit_learn_but_for_the_sign(width):
    features = torch.randn(400, width, generator=GENERATOR)
    features[:, :3] *= torch.tensor([6.0, 5.0, 4.0])
    features = features @ torch.linalg.qr(torch.randn(width, width, generator=GENERATOR)).Q + 50
    axes = principal_axes(features, 3)
    known = torch.from_numpy(PCA(3, svd_solver="full").fit(features.double().numpy()).components_).float()
    torch.testing.assert_close((known * axes.T).sum(dim=1).abs(), torch.ones(3), atol=1e-4, rtol=0)
    assert (axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)) > 0).all()
    assert torch.equal(axes, principal_axes(features, 3))


def test_no_more_axes_than_columns():
    with pytest.raises(ValueError, match="count: expected 1 to 2"):
        principal_axes(torch.ones(5, 2), 3)
