"""What the lenses of masked autoencoders may and may not show, and the brush."""

import pytest
import torch

from engine.bench import Bench, Setup
from engine.lenses import brush
from engine.lenses.masked import ATTENTION, HIDE_MORE, RECONSTRUCT, by_hand, paint, wrong
from engine.nets.masked_vit import Decoder, MaskedViT
from engine.ops.patchify import Masking

GENERATOR = torch.Generator().manual_seed(0)


def small(norm_pix=False):
    torch.manual_seed(0)
    return MaskedViT(1, 16, 4, 16, 1, 2, Decoder(16, 1, 2), norm_pix).eval()


def masks(model, count, ratio=0.75):
    return model.hide(count, ratio, "random", torch.Generator().manual_seed(1))


@pytest.mark.parametrize("norm_pix", [False, True])
def test_a_perfect_painting_is_the_picture(norm_pix, monkeypatch):
    model, images = small(norm_pix), torch.rand(2, 1, 16, 16, generator=GENERATOR)
    hidden = masks(model, 2)
    monkeypatch.setattr(model, "forward", lambda images, hidden: model.targets(images))
    seen = paint(model, images, hidden)
    torch.testing.assert_close(seen["reconstruction"], images, atol=1e-5, rtol=0)
    assert seen["error"].max() < 1e-5
    # Without the true statistics the same painting has the right structure in the wrong colours.
    honest = paint(model, images, hidden, true_statistics=False)["reconstruction"]
    assert torch.allclose(honest, images, atol=1e-5) is not norm_pix


def test_pasting_changes_hidden_pixels_alone_and_the_error_is_theirs():
    model, images = small(), torch.rand(2, 1, 16, 16, generator=GENERATOR)
    hidden = masks(model, 2)
    seen, hole = paint(model, images, hidden), model.hole(hidden).bool()
    assert torch.equal(seen["pasted"][~hole], images[~hole])
    assert torch.equal(seen["pasted"][hole], seen["reconstruction"][hole])
    assert (seen["masked"][hole] == 0.5).all()
    apart = (seen["reconstruction"] - images).abs()
    for image in range(2):
        assert wrong(seen["pasted"], images, hidden)[image].item() == pytest.approx(
            apart[image][hole[image]].mean().item(), rel=1e-5
        )
        corner = apart[image, 0, :4, :4].mean() * hidden.mask[image, 0]
        assert seen["error"][image, 0, 0].item() == pytest.approx(corner.item(), abs=1e-6)
    nothing = Masking(torch.arange(16).repeat(2, 1), torch.arange(16).repeat(2, 1), torch.zeros(2, 16))
    assert wrong(images, images, nothing).tolist() == [0, 0]


def painting(rows):
    """A brush's text from CELLS rows of CELLS truth values."""
    bits = "".join("1" if cell else "0" for row in rows for cell in row)
    return "".join(f"{int(bits[i : i + 4], 2):x}" for i in range(0, len(bits), 4))


def test_a_painting_is_read_cell_by_cell():
    rows = torch.rand(32, 32, generator=GENERATOR) > 0.5
    assert torch.equal(brush.cells(painting(rows.tolist())), rows)
    assert not brush.cells("").any()
    for wrong_text in ("12", "g" * 256, "0" * 257, "-" + "0" * 255):
        with pytest.raises(ValueError, match="is no painting; it has 256 hexadecimal digits"):
            brush.cells(wrong_text)


@pytest.mark.parametrize("grid", [1, 4, 7, 14, 32])
def test_a_patch_is_under_the_brush_when_half_of_it_is(grid):
    rows = torch.zeros(32, 32, dtype=torch.bool)
    rows[:, :20] = True
    fine = rows.repeat_interleave(grid, 0).repeat_interleave(grid, 1)  # each patch is 32 x 32 of these
    for place, under in enumerate(brush.over(painting(rows.tolist()), grid).tolist()):
        down, across = 32 * (place // grid), 32 * (place % grid)
        share = fine[down : down + 32, across : across + 32].float().mean().item()
        assert under == (share >= 0.5), (grid, place, share)


def test_what_is_painted_is_hidden_and_nothing_else():
    model, image = small(), torch.rand(1, 1, 16, 16, generator=GENERATOR)
    rows = torch.zeros(32, 32, dtype=torch.bool)
    rows[:16, 16:] = True
    hidden = by_hand(painting(rows.tolist()), model, image)
    assert hidden.mask.view(4, 4).tolist() == [[0, 0, 1, 1], [0, 0, 1, 1], [0] * 4, [0] * 4]
    assert sorted(hidden.ids_keep[0].tolist()) == [i for i in range(16) if not hidden.mask[0, i]]
    knobs = RECONSTRUCT.params.make({"painted": painting(rows.tolist()), "ratio": 0.1})
    (told,) = RECONSTRUCT.answers(model, knobs, image, Bench(Setup(device="cpu")))
    assert told["hidden"].tolist() == [0.25]
    assert torch.equal(told["pasted"][..., 8:, :], image[..., 8:, :])
    assert (told["masked"][..., :8, 8:] == 0.5).all()
    with pytest.raises(ValueError, match="every patch is hidden"):
        by_hand("f" * 256, model, image)


@pytest.mark.parametrize("norm_pix", [False, True])
def test_the_loss_shown_is_the_loss_trained(norm_pix):
    model, image = small(norm_pix), torch.rand(1, 1, 16, 16, generator=GENERATOR)
    (told,) = RECONSTRUCT.answers(model, RECONSTRUCT.params.make({"ratio": 0.5}), image, Bench(Setup(device="cpu")))
    hidden = model.hide(1, 0.5, "random", torch.Generator().manual_seed(0))
    with torch.no_grad():
        each = (model(image, hidden) - model.targets(image)).square().mean(dim=2)
    shown = told["loss"][0, ::4, ::4].flatten()
    assert torch.allclose(shown, each[0] * hidden.mask[0])
    assert told["paints"] == ["patches less their mean, over their contrast" if norm_pix else "plain pixels"]


def test_two_networks_say_when_the_same_seed_hides_other_places():
    one, other = small(), MaskedViT(1, 16, 8, 16, 1, 2, Decoder(16, 1, 2)).eval()
    for lens in (RECONSTRUCT, HIDE_MORE, ATTENTION):
        assert lens.apart(one, small(True)) == ""
        assert "into 4 × 4 patches, the second into 2 × 2" in lens.apart(one, other)
    assert "brush hides the same" in RECONSTRUCT.apart(one, other)
    assert "brush" not in HIDE_MORE.apart(one, other)
