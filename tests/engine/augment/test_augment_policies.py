"""AutoAugment, TrivialAugment and AugMix against torchvision's, given the same decisions; and how they decide."""

from dataclasses import replace

import pytest
import torch
from scipy.stats import kstest
from torchvision import transforms
from torchvision.transforms import AutoAugmentPolicy, v2

from engine.augment import NAMES, OPERATIONS, AugMix, AutoAugment, Decisions, RandAugment, TrivialAugment, magnitudes
from engine.augment.autoaugment import subpolicies
from engine.augment.operations import Operation

FOUND = ["imagenet", "cifar10", "svhn"]
POLICIES = [
    RandAugment(2, 9), RandAugment(2, 9, "timm", p=0.5), *map(AutoAugment, FOUND), TrivialAugment(), AugMix(),
    AugMix(10, 2, 4, all_operations=True),
]  # fmt: skip


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def pictures(batch, channels=3, height=28, width=36):
    coarse = torch.rand(batch, channels, height // 4, width // 4, generator=seeded(batch))
    blobs = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (blobs * 254 + torch.rand(blobs.shape, generator=seeded())).to(torch.uint8)


def of(decisions, images):
    """The decisions for some of the images."""
    rows = (decisions.operation, decisions.magnitude, decisions.sign, decisions.applied)
    share = None if decisions.share is None else decisions.share[:, images]
    return Decisions(*(row[:, images] for row in rows), share)


def rivals(library):
    """Each policy beside the same of torchvision: the first library of transforms, or the second."""
    kept = {"interpolation": transforms.InterpolationMode.NEAREST}
    return [
        *((AutoAugment(found), library.AutoAugment(AutoAugmentPolicy(found))) for found in FOUND),
        (TrivialAugment(), library.TrivialAugmentWide()),
        (AugMix(), library.AugMix(all_ops=False)),
        (AugMix(10, 2, 4, 0.5, True), library.AugMix(10, 2, 4, 0.5, True)),
        (AugMix(interpolation="nearest"), library.AugMix(all_ops=False, **kept)),
    ]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("case", range(7))
def test_given_torchvisions_decisions_the_picture_is_torchvisions_to_the_bit(case, channels, replay):
    policy, theirs = rivals(transforms)[case]
    images = pictures(150, channels)
    with torch.random.fork_rng():
        torch.manual_seed(case)
        want, decisions = replay(theirs, images, policy.space)
    assert decisions.applied.any()
    assert torch.equal(policy.apply(images, decisions), want)


@pytest.mark.parametrize("case", range(7))
def test_and_the_second_torchvisions_but_for_what_it_rounds_otherwise(case, replay):
    """v2 rounds color, sharpness and autocontrast in another order, and solarize's threshold is a share of 255."""
    policy, theirs = rivals(v2)[case]
    images = pictures(150)
    with torch.random.fork_rng():
        torch.manual_seed(case)
        want, decisions = replay(theirs, images, policy.space)
    rounded = [Operation.COLOR, Operation.SHARPNESS, Operation.SOLARIZE, Operation.AUTOCONTRAST]
    same = ~(torch.isin(decisions.operation, torch.tensor(rounded)) & decisions.applied).any(dim=0)
    assert same.sum() >= 5
    got = policy.apply(images, decisions)
    assert torch.equal(got[same], want[same])
    if isinstance(policy, TrivialAugment):
        alone = decisions.operation[0] != Operation.SOLARIZE
        assert (got[alone].int() - want[alone].int()).abs().max() <= 1


@pytest.mark.parametrize("found", FOUND)
def test_the_subpolicies_are_torchvisions(found):
    operation, magnitude, probability = subpolicies(found)
    assert operation.shape == (2, 25)
    named = {name.replace("_", ""): name for name in NAMES}
    for i, pair in enumerate(v2.AutoAugment(AutoAugmentPolicy(found))._policies):
        for step, (name, chance, m) in enumerate(pair):
            assert NAMES[operation[step, i]] == named[name.lower()]
            assert probability[step, i].item() == pytest.approx(chance)
            assert magnitude[step, i] == (m or 0)
            assert bool(magnitudes("autoaugment", (8, 8))[named[name.lower()]].values) == (m is not None)


@pytest.mark.parametrize(
    ("space", "theirs"),
    [
        ("autoaugment", lambda size: transforms.AutoAugment()._augmentation_space(10, size)),
        ("wide", lambda size: transforms.TrivialAugmentWide()._augmentation_space(31)),
        ("augmix", lambda size: transforms.AugMix()._augmentation_space(10, size)),
    ],
)
def test_the_tables_are_torchvisions(space, theirs):
    size = (28, 45)
    ours, named = magnitudes(space, size), {name.replace("_", ""): name for name in NAMES}
    for name, (values, signed) in theirs(size).items():
        row = ours[named[name.lower()]]
        assert row.values == (tuple(values.tolist()) if values.ndim else ())
        assert row.signed == signed


def uneven(drawn, expected):
    """Chi-square of counts beside their expectation, less what it exceeds once in a thousand (Wilson, Hilferty)."""
    keep = expected > 0
    assert drawn[~keep].sum() == 0
    free = int(keep.sum()) - 1
    limit = free * (1 - 2 / (9 * free) + 3.09 * (2 / (9 * free)) ** 0.5) ** 3
    return ((drawn[keep] - expected[keep]).square() / expected[keep]).sum().item() - limit


@pytest.mark.parametrize("found", FOUND)
def test_autoaugment_draws_a_subpolicy_and_takes_each_step_with_its_probability(found):
    count = 20_000
    decisions = AutoAugment(found).draw(count, seeded())
    operation, _, probability = subpolicies(found)
    for step in (0, 1):
        taken = torch.bincount(decisions.operation[step][decisions.applied[step]], minlength=15).double()
        expected = torch.zeros(15, dtype=torch.double).index_add_(0, operation[step], probability[step].double())
        skipped = count - expected.sum() * count / 25
        drawn = torch.cat([taken, (count - taken.sum())[None]])
        assert uneven(drawn, torch.cat([expected * count / 25, skipped[None]])) < 0
    # The two steps are of one sub-policy: no other pairs of operations occur.
    assert set(zip(*decisions.operation.tolist(), strict=True)) == set(zip(*operation.tolist(), strict=True))


def test_trivialaugment_draws_one_operation_of_any_magnitude():
    count = 14 * 31 * 20
    decisions = TrivialAugment().draw(count, seeded())
    assert decisions.operation.shape == (1, count)
    assert decisions.applied.all()
    cells = torch.bincount(decisions.operation[0] * 31 + decisions.magnitude[0], minlength=14 * 31).double()
    assert uneven(cells, torch.full((14 * 31,), 20.0, dtype=torch.double)) < 0
    assert abs(decisions.sign.double().mean()) < 3.3 / count**0.5


def test_augmix_draws_chains_of_one_to_three_mild_operations_and_their_shares():
    count, policy = 9000, AugMix(severity=4, width=3, alpha=1.0)
    decisions = policy.draw(count, seeded())
    lengths = decisions.applied.view(3, 3, count).sum(dim=1)
    assert uneven(torch.bincount(lengths.flatten())[1:].double(), torch.full((3,), 9000.0, dtype=torch.double)) < 0
    # A chain has no gaps: its steps are taken from the first on.
    assert (decisions.applied.view(3, 3, count).int().diff(dim=1) <= 0).all()
    mild = [Operation[name.upper()] for name in OPERATIONS
            if name not in ("identity", "brightness", "color", "contrast", "sharpness")]  # fmt: skip
    assert decisions.operation.unique().tolist() == sorted(mild)
    assert AugMix(all_operations=True).draw(count, seeded()).operation.unique().tolist() == list(range(1, 14))
    assert decisions.magnitude.unique().tolist() == [0, 1, 2, 3]
    assert torch.allclose(decisions.share.sum(dim=0), torch.ones(count), atol=1e-6)
    # Beta(1, 1) is uniform; a coordinate of Dirichlet(1, 1, 1) is Beta(1, 2), with distribution 1 - (1 - x)^2.
    assert kstest(decisions.share[0].numpy(), "uniform").pvalue > 1e-3
    first = decisions.share[1] / (1 - decisions.share[0])
    assert kstest(first.numpy(), lambda x: 1 - (1 - x) ** 2).pvalue > 1e-3
    assert AugMix(depth=2, width=5).draw(7, seeded()).applied.shape == (10, 7)


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_every_policy_keeps_to_the_contract(policy, dtype):
    images = pictures(48) if dtype == torch.uint8 else pictures(48).float() / 255
    after = policy(images, seeded(5))
    assert after.dtype == dtype
    assert after.shape == images.shape
    assert torch.equal(after, policy(images, seeded(5)))
    assert not torch.equal(after, policy(images, seeded(6)))
    if dtype == torch.float32:
        assert after.min() >= -1e-3
        assert after.max() <= 1 + 1e-3
    # Whoever changes places in the batch takes the decision along, and the picture stays the same.
    decisions, order = policy.draw(48, seeded(5)), torch.randperm(48, generator=seeded())
    assert torch.equal(policy.apply(images[order], of(decisions, order)), after[order])
    still = replace(decisions, applied=torch.zeros_like(decisions.applied))
    close = (policy.apply(images, still).double() - images.double()).abs().max()
    # Weights of 8 bits of a mixture sum to 1 but for a rounding error, and the sum is rounded down.
    assert close == 0 if decisions.share is None else close <= (1 if dtype == torch.uint8 else 1e-6)


@pytest.mark.parametrize("policy", POLICIES, ids=repr)
def test_decisions_are_drawn_on_the_host_and_it_never_waits_for_the_images(policy, watch):
    calls = []
    images = [torch.empty(batch, 3, 32, 32, device="meta") for batch in (30, 300)]
    policy.apply(torch.zeros(300, 3, 32, 32), policy.draw(300, seeded()))  # makes the table
    for batch in images:
        every = torch.arange(15).repeat(len(batch) // 15)
        decisions = policy.draw(len(batch), seeded())
        decisions = replace(
            decisions, operation=every.expand_as(decisions.operation), applied=torch.ones_like(decisions.applied)
        )
        with watch() as seen:
            assert policy.apply(batch, decisions).shape == batch.shape
        assert not seen.waits
        calls.append(seen.calls)
    assert calls[0] == calls[1]


def test_a_mixture_is_the_weighted_mean_of_its_chains():
    images, policy = pictures(20).float() / 255, AugMix(severity=8, width=3)
    decisions = policy.draw(20, seeded())
    mixed = per(decisions.share[0]) * images
    for i in range(3):
        rows = (decisions.operation, decisions.magnitude, decisions.sign, decisions.applied)
        alone = Decisions(*(row[3 * i : 3 * i + 3] for row in rows))
        mixed = mixed + per(decisions.share[i + 1]) * policy.apply(images, alone)
    torch.testing.assert_close(policy.apply(images, decisions), mixed, rtol=0, atol=1e-6)


def per(values):
    return values[:, None, None, None]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: AutoAugment("mnist"), "policy: 'mnist' is not one of imagenet, cifar10, svhn"),
        (lambda: AugMix(severity=0), "severity: expected 1 to 10, got 0"),
        (lambda: AugMix(severity=11), "severity: expected 1 to 10, got 11"),
        (lambda: AugMix(width=0), "width: expected 1 chain or more, got 0"),
        (lambda: AugMix(depth=0), "depth: expected 1 operation or more, or -1 for 1 to 3, got 0"),
        (lambda: AugMix(alpha=0), "alpha: expected more than 0, got 0"),
        (lambda: AugMix()(torch.rand(2, 2, 8, 8), seeded()), "expected shape"),
        (lambda: TrivialAugment(fill=300)(pictures(2), seeded()), "fill: expected 0 to 255"),
    ],
)
def test_bad_input_is_named(make, says):
    with pytest.raises(ValueError, match=says):
        make()
