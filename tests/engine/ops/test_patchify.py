"""Patches and masks: inverse pairs, exact counts, the shapes that block and grid promise."""

import pytest
import torch
from lightly.models.utils import patchify as lightly_patchify

from engine.ops.patchify import block_noise, grid_noise, masking, patchify, take, uniform_noise, unpatchify


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("channels", "height", "width", "patch"), [(3, 32, 48, 8), (1, 28, 28, 4), (2, 6, 6, 6)])
def test_unpatchify_is_the_inverse(channels, height, width, patch):
    images = torch.rand(2, channels, height, width, generator=generator())
    assert torch.equal(unpatchify(patchify(images, patch), patch, height, width), images)


def test_agrees_with_lightly():
    images = torch.rand(2, 3, 32, 32, generator=generator())
    assert torch.equal(patchify(images, 8), lightly_patchify(images, 8))


def test_order_is_row_column_channel():
    images = torch.arange(2 * 4 * 6).reshape(1, 2, 4, 6)
    patch = patchify(images, 2)[0, 4]  # second row of patches, second column
    assert patch.tolist() == [images[0, c, 2 + i, 2 + j].item() for i in range(2) for j in range(2) for c in range(2)]


@pytest.mark.parametrize("noise", [uniform_noise, block_noise, grid_noise])
@pytest.mark.parametrize(("rows", "columns", "ratio"), [(7, 7, 0.75), (14, 14, 0.6), (10, 10, 0.9), (3, 5, 0.0)])
def test_exact_count_and_consistent_order(noise, rows, columns, ratio):
    batch, count = 4, rows * columns
    kept = count - round(count * ratio + 0.4999)  # floor(L (1 - r)) by another road
    ids_keep, ids_restore, mask = masking(noise(batch, rows, columns, generator()), ratio)
    assert ids_keep.shape == (batch, kept)
    assert mask.sum(1).tolist() == [count - kept] * batch
    for image in range(batch):
        assert sorted(ids_keep[image].tolist()) == (mask[image] == 0).nonzero()[:, 0].tolist()
        assert sorted(ids_restore[image].tolist()) == list(range(count))


def test_restore_puts_every_kept_token_at_its_own_place():
    tokens = torch.arange(49.0).repeat(3, 1)[:, :, None]
    ids_keep, ids_restore, mask = masking(uniform_noise(3, 7, 7, generator()), 0.75)
    hidden = torch.full((3, 49 - ids_keep.shape[1], 1), -1.0)
    whole = take(torch.cat((take(tokens, ids_keep), hidden), dim=1), ids_restore)
    assert torch.equal(whole, torch.where(mask.bool()[:, :, None], -1.0, tokens))


def test_same_generator_same_mask_and_every_patch_gets_its_turn():
    one = masking(uniform_noise(2000, 4, 4, generator(3)), 0.75).mask
    assert torch.equal(one, masking(uniform_noise(2000, 4, 4, generator(3)), 0.75).mask)
    # Each patch is hidden with probability 3/4: five standard errors of a mean over 2000.
    assert (one.mean(0) - 0.75).abs().max() < 5 * (0.75 * 0.25 / 2000) ** 0.5


@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.8])
def test_block_hides_one_connected_rectangle(ratio):
    for mask in masking(block_noise(50, 9, 12, generator()), ratio).mask.reshape(50, 9, 12).bool():
        piece = torch.zeros_like(mask)
        row, column = mask.nonzero()[0]
        piece[row, column] = True
        for _ in range(mask.sum()):  # flood fill over the four neighbours
            grown = piece.clone()
            grown[1:] |= piece[:-1]
            grown[:-1] |= piece[1:]
            grown[:, 1:] |= piece[:, :-1]
            grown[:, :-1] |= piece[:, 1:]
            piece = grown & mask
        assert torch.equal(piece, mask)
        height, width = (int(side.max() - side.min()) + 1 for side in mask.nonzero().T)
        assert height * width - mask.sum() < max(height, width)  # its last row or column may be cut short


def test_grid_keeps_a_lattice():
    kept = masking(grid_noise(2, 8, 8, generator()), 0.75).mask.reshape(2, 8, 8) == 0
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[::2, ::2] = True
    assert torch.equal(kept[0], expected)
    assert torch.equal(kept[1], expected)
    checkerboard = masking(grid_noise(1, 8, 8, generator()), 0.5).mask.reshape(8, 8)
    assert torch.equal(checkerboard, (torch.arange(8)[:, None] + torch.arange(8)) % 2 * 1.0)


def test_bad_input():
    with pytest.raises(ValueError, match="5 does not divide the image, 28 x 28"):
        patchify(torch.zeros(1, 1, 28, 28), 5)
    with pytest.raises(ValueError, match="need 49 patches, got 48"):
        unpatchify(torch.zeros(1, 48, 16), 4, 28, 28)
    for ratio in (1.0, -0.1, 0.99):
        with pytest.raises(ValueError, match=f"ratio.*49 patches.*got {ratio}"):
            masking(torch.rand(1, 49), ratio)
