"""The common shape of all maps, and the plainest of them against scikit-learn."""

import pytest
import torch
from sklearn.decomposition import PCA

from engine.maps import MAPS, layouts
from engine.maps.pca import PcaParams, fit


@pytest.mark.parametrize("name", MAPS)
def test_every_map_yields_layouts_of_its_own_and_takes_an_earlier_one(name, digits):
    features = digits[0][:50].requires_grad_()
    params, _ = MAPS[name]
    assert len(params.knobs()) <= 8
    values = params.make({}, "tiny").model_dump() | ({"perplexity": 5.0} if name == "tsne" else {})
    course = list(layouts(name, features, values))
    assert all(places.shape == (50, 2) and places.dtype == torch.float32 for places in course)
    assert all(places.isfinite().all() and not places.requires_grad for places in course)
    assert len({id(places) for places in course}) == len(course)
    began = next(layouts(name, features, values, course[-1]))
    torch.testing.assert_close(began, course[-1], atol=1e-4, rtol=1e-4)


def test_a_map_that_there_is_not():
    with pytest.raises(ValueError, match="there is no map 'som'; choose one of umap, tsne, pca"):
        layouts("som", torch.ones(5, 2), {})
    with pytest.raises(ValueError, match=r"min_dist: 2.0 is out of range; allowed is 0.0 to 0.99"):
        layouts("umap", torch.ones(5, 2), {"min_dist": 2.0})


def test_principal_components_are_those_of_scikit_learn(digits):
    (places,) = fit(digits[0], PcaParams())
    known = torch.from_numpy(PCA(2, svd_solver="full").fit_transform(digits[0].numpy()))
    known = known * (known * places).sum(dim=0).sign()
    torch.testing.assert_close(places, known, atol=1e-2, rtol=1e-3)


def test_principal_components_are_turned_onto_an_earlier_map(digits):
    (places,) = fit(digits[0], PcaParams())
    turned = places @ torch.tensor([[0.6, -0.8], [-0.8, -0.6]]) + 5
    (again,) = fit(digits[0], PcaParams(), earlier=turned)
    torch.testing.assert_close(again, turned - turned.mean(dim=0), atol=1e-3, rtol=1e-3)
