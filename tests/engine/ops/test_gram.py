"""Gram matrices: definition, invariances and the paper's gradient."""

import pytest
import torch

from engine.ops.gram import gram

FEATURES = torch.rand(2, 5, 4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_definition():
    expected = torch.zeros(2, 5, 5, dtype=torch.float64)
    for b in range(2):
        for i in range(5):
            for j in range(5):
                expected[b, i, j] = (FEATURES[b, i] * FEATURES[b, j]).sum() / 24
    torch.testing.assert_close(gram(FEATURES), expected)


def test_places_do_not_matter_but_strength_does():
    order = torch.randperm(24, generator=torch.Generator().manual_seed(1))
    shuffled = FEATURES.flatten(2)[:, :, order].reshape(FEATURES.shape)
    torch.testing.assert_close(gram(shuffled), gram(FEATURES))
    torch.testing.assert_close(gram(2 * FEATURES), 4 * gram(FEATURES))
    torch.testing.assert_close(gram(FEATURES.repeat(1, 1, 3, 2)), gram(FEATURES))  # six times the picture


def test_positive_semi_definite():
    assert torch.linalg.eigvalsh(gram(FEATURES)).min() > -1e-12


def test_gradient_of_the_style_loss_is_the_papers():
    # Gatys et al. 2016, eq. 6: dE/dF = (F^T (G - A))^T / (N^2 M^2), with sums instead of means in G and A.
    channels, places = 5, 24
    features = FEATURES[:1].clone().requires_grad_()
    style = gram(FEATURES[1:])
    ((gram(features) - style) ** 2).sum().div(4 * channels**2).backward()
    flat = features.detach().flatten(2)[0]
    difference = flat @ flat.T - style[0] * places
    expected = (flat.T @ difference).T / (channels**2 * places**2)
    torch.testing.assert_close(features.grad.flatten(2)[0], expected)


def test_bad_shape():
    with pytest.raises(ValueError, match=r"expected \(B, N, H, W\)"):
        gram(torch.zeros(3, 4, 5))
