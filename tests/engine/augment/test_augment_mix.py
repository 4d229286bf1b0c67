import pytest
import torch
import torch.nn.functional as F
from scipy.stats import beta as scipy_beta
from scipy.stats import kstest

from engine.augment.mix import beta, cutmix, mixup


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(count=16, height=12, width=20, classes=5):
    return torch.rand(count, 3, height, width, generator=seeded()), torch.arange(count) % classes


@pytest.mark.parametrize("mix", [mixup, cutmix])
@pytest.mark.parametrize("each", [False, True])
def test_the_soft_targets_loss_is_the_papers_two_terms(mix, each):
    images, labels = batch()
    mixed = mix(images, labels, seeded(), classes=5, per_image_share=each)
    logits = torch.randn(16, 5, dtype=torch.float64, generator=seeded())
    soft = F.cross_entropy(logits, mixed.targets.double(), reduction="none")
    own = F.cross_entropy(logits, labels, reduction="none")
    other = F.cross_entropy(logits, labels[mixed.partner], reduction="none")
    share = mixed.share.double()
    torch.testing.assert_close(soft, share * own + (1 - share) * other, rtol=0, atol=1e-6)
    assert (mixed.share.unique().numel() > 1) == each
    assert mixed.partner.sort().values.tolist() == list(range(16))


@pytest.mark.parametrize("each", [False, True])
def test_mixup_blends_each_image_with_its_partner(each):
    images, labels = batch()
    mixed = mixup(images, labels, seeded(), classes=5, per_image_share=each)
    for b in range(16):
        share, partner = mixed.share[b], int(mixed.partner[b])
        torch.testing.assert_close(mixed.images[b], share * images[b] + (1 - share) * images[partner])


@pytest.mark.parametrize("each", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_cutmix_keeps_exactly_its_share_outside_one_box(each, dtype):
    labels = torch.arange(16)
    numbered = torch.arange(16, dtype=dtype)[:, None, None, None].expand(16, 3, 12, 20).contiguous()
    for seed in range(20):
        mixed = cutmix(numbered, labels, seeded(seed), classes=16, per_image_share=each)
        assert mixed.images.dtype == dtype
        for b in range(16):
            if int(mixed.partner[b]) == b:
                continue
            own = mixed.images[b] == numbered[b]
            assert own.float().mean().item() == pytest.approx(mixed.share[b].item(), abs=1e-6)
            pasted = ~own[0]
            rows, columns = pasted.any(dim=1), pasted.any(dim=0)
            assert torch.equal(pasted, rows[:, None] & columns)  # a rectangle, if its sides are in one piece:
            for side in (rows, columns):
                assert (side.int().diff().abs().sum() + side[0].int() + side[-1].int()) in (0, 2)
            assert torch.equal(mixed.images[b][~own], numbered[mixed.partner[b]][~own])


def test_cutmix_draws_its_box_as_the_release_does():
    """Without the border: sides int(side sqrt(1 - lambda)) // 2 * 2 (clovaai/CutMix), and lambda from what is left."""
    height, width = 40, 60
    images, labels = torch.zeros(2, 1, height, width), torch.arange(2)
    seen = 0
    for seed in range(60):
        mixed = cutmix(images + labels[:, None, None, None], labels, seeded(seed), classes=2)
        if mixed.partner.tolist() == [0, 1]:
            continue
        pasted = mixed.images[0, 0] == 1
        drawn = beta(1.0, 1, seeded(seed))
        sides = [int(side * (1 - drawn.item()) ** 0.5) // 2 * 2 for side in (height, width)]
        ours = [int(pasted.any(dim=1).sum()), int(pasted.any(dim=0).sum())]
        cut_off = pasted[0].any() or pasted[-1].any() or pasted[:, 0].any() or pasted[:, -1].any()
        assert all(our <= side for our, side in zip(ours, sides, strict=True))
        if not cut_off and all(ours):
            assert ours == sides
            seen += 1
    assert seen >= 5


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 8.0])
def test_lambda_is_beta_distributed(alpha):
    drawn = beta(alpha, 20_000, seeded()).double()
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(drawn.mean() - 0.5) < 3.5 * (variance / 20_000) ** 0.5
    assert drawn.var() == pytest.approx(variance, rel=0.03)
    # Single precision cannot tell 1 - 1e-9 from 1: look at what lies between.
    inside = drawn[(drawn > 1e-4) & (drawn < 1 - 1e-4)].numpy()
    law = scipy_beta(alpha, alpha)
    low, high = law.cdf([1e-4, 1 - 1e-4])
    assert kstest(inside, lambda x: (law.cdf(x) - low) / (high - low)).pvalue > 1e-3


def test_a_vanishing_alpha_mixes_nothing():
    drawn = beta(1e-6, 1000, seeded())
    assert drawn.isfinite().all()
    assert ((drawn < 1e-6) | (drawn > 1 - 1e-6)).double().mean() > 0.99
    images, labels = batch()
    for mix in (mixup, cutmix):
        mixed = mix(images, labels, seeded(), alpha=0, classes=5)
        assert torch.equal(mixed.images, images)
        assert torch.equal(mixed.targets, F.one_hot(labels, 5).float())


def test_a_large_alpha_halves():
    torch.testing.assert_close(beta(1e9, 100, seeded()), torch.full((100,), 0.5), rtol=0, atol=1e-3)


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_soft_targets_go_in_too_and_the_host_never_waits(watch, mix):
    images, labels = batch()
    soft = F.one_hot(labels, 5).double()
    mixed = mix(images, soft, seeded())
    assert torch.equal(mixed.images, mix(images, labels, seeded(), classes=5).images)
    torch.testing.assert_close(mixed.targets.sum(dim=1), torch.ones(16, dtype=torch.float64))
    images, labels = images.to("meta"), labels.to("meta")
    with watch() as seen:
        elsewhere = mix(images, labels, seeded(), classes=5, per_image_share=True)
    assert not seen.waits
    assert elsewhere.images.shape == images.shape
    assert elsewhere.targets.shape == (16, 5)


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_bad_input_is_named(mix):
    images, labels = batch()
    for arguments, says in [
        ({"alpha": -1, "classes": 5}, "alpha: expected 0 or more, got -1"),
        ({}, "classes: say how many there are"),
        ({"classes": 4}, "targets: expected labels 0 to 3, got 0 to 4"),
    ]:
        with pytest.raises(ValueError, match=says):
            mix(images, labels, seeded(), **arguments)
    with pytest.raises(ValueError, match="a batch of at least 2 to find partners in, got 1"):
        mix(images[:1], labels[:1], seeded(), classes=5)
    with pytest.raises(ValueError, match=r"targets: expected shape \(16, 3\), got \(16, 5\)"):
        mix(images, F.one_hot(labels, 5).float(), seeded(), classes=3)
    with pytest.raises(ValueError, match="targets: 3 of them for 16 images"):
        mix(images, labels[:3], seeded(), classes=5)


def test_mixup_needs_values_in_between():
    images, labels = batch()
    with pytest.raises(TypeError, match=r"expected floating point, got torch.uint8"):
        mixup((images * 255).to(torch.uint8), labels, seeded(), classes=5)
