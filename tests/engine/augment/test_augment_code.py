"""The code to copy: run, it builds the same policy."""

from collections import Counter

import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from engine.augment import OPERATIONS, AugMix, AutoAugment, RandAugment, TrivialAugment
from engine.augment.code import code
from engine.augment.operations import Operation
from engine.augment.policy import Policy

THEIRS = [
    RandAugment(2, 9), RandAugment(3, 20, fill=(10.0, 128.0, 255.0)), RandAugment(0),
    RandAugment(2, 12, p=0.4, interpolation="bilinear"), TrivialAugment(fill=9.0, interpolation="bilinear"),
    AutoAugment(), AutoAugment("cifar10", interpolation="bilinear"), AutoAugment("svhn", fill=7.0),
    TrivialAugment(), AugMix(), AugMix(10, 2, 4, 0.5, True, interpolation="nearest"),
]  # fmt: skip


def built(policy):
    names = {}
    exec(code(policy), names)
    return names["transform"]


def pictures(batch, height=28, width=36):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(batch, 3, height // 4, width // 4, generator=generator)
    return (torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear") * 255).to(torch.uint8)


@pytest.mark.parametrize("policy", THEIRS, ids=repr)
def test_given_its_decisions_the_copied_code_makes_our_pictures(policy, replay):
    images = pictures(120)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        want, decisions = replay(built(policy), images, policy.space)
    # What torchvision's second version rounds otherwise is tested beside the policies.
    rounded = [Operation.COLOR, Operation.SHARPNESS, Operation.SOLARIZE, Operation.AUTOCONTRAST]
    same = ~(torch.isin(decisions.operation, torch.tensor(rounded)) & decisions.applied).any(dim=0)
    assert same.sum() >= 3
    assert torch.equal(policy.apply(images, decisions)[same], want[same])


@pytest.mark.parametrize(
    "policy", [RandAugment(2, 9, p=0.4), RandAugment(2, 9), TrivialAugment(), AutoAugment()], ids=repr
)
def test_and_decides_as_ours_does(policy, replay):
    count = 1500
    with torch.random.fork_rng():
        torch.manual_seed(0)
        _, theirs = replay(built(policy), pictures(1, 8, 8).expand(count, -1, -1, -1), policy.space)
    ours = policy.draw(count, torch.Generator().manual_seed(0))
    taken = [torch.bincount(each.operation[each.applied], minlength=15).double() for each in (theirs, ours)]
    # Of the difference of two counts of about n: variance 2 n, and 15 of them.
    for one, two in zip(*taken, strict=True):
        assert abs(one - two) <= 4 * (one + two + 1).sqrt()


@pytest.mark.parametrize("p", [1.0, 0.5])
@pytest.mark.parametrize("scale", ["tf", "timm", "timm-inc"])
def test_timm_draws_each_operation_as_often_as_ours(scale, p):
    transform = built(RandAugment(3, 9, scale, p=p, interpolation="bilinear", fill=(7.0, 8.0, 9.0)))
    assert transform.num_layers == 3
    assert transform.choice_weights is None  # evenly, with replacement
    assert len(transform.ops) == 13
    assert {op.magnitude for op in transform.ops} == {9}
    assert {op.magnitude_max for op in transform.ops} == ({30} if scale == "tf" else {None})
    assert {op.magnitude_std for op in transform.ops} == {0}
    assert all(op.kwargs == {"fillcolor": (7, 8, 9), "resample": Image.Resampling.BILINEAR} for op in transform.ops)
    # One of ours is drawn with 1/14 and applied with p; one of theirs with 1/13, and applied with its prob.
    for op in transform.ops:
        assert op.prob / 13 == pytest.approx(p / len(OPERATIONS), abs=1e-6)
        assert op.name.endswith("Increasing") == (scale == "timm-inc" and op.name.startswith(
            ("Posterize", "Solarize", "Color", "Contrast", "Brightness", "Sharpness")
        ))  # fmt: skip
    assert (
        Counter(op.name.removesuffix("Increasing").removesuffix("Rel") for op in transform.ops).most_common(1)[0][1]
        == 1
    )


def test_the_tf_scale_is_timms_with_its_own_limit():
    """timm's levels to arguments, at every M: what the code hands to timm is the release's table."""
    from timm.data.auto_augment import LEVEL_TO_ARG

    from engine.augment import magnitudes

    transform, table = built(RandAugment(2, 9, "tf")), magnitudes("tf", (28, 28))
    for op in transform.ops:
        name = next(name for name in table if name.replace("_", "") == op.name.lower())
        if not table[name].values:
            continue
        for m in range(31):
            (argument,) = LEVEL_TO_ARG[op.name](float(m), op.hparams)
            value = table[name].at(m, 1) + (1 if table[name].unit == "change" else 0)
            assert min(8, abs(argument)) == value if name == "posterize" else abs(argument) == pytest.approx(value)


def test_what_differs_is_said_in_a_comment():
    said = code(RandAugment(2, 9, "timm"))
    assert said.startswith("# torchvision has no such scale. timm's own 'rand-m9-n2' has Invert and SolarizeAdd too")
    assert "'rand-m9-n2-inc1'" in code(RandAugment(2, 9, "timm-inc"))
    assert isinstance(built(TrivialAugment()), v2.TrivialAugmentWide)
    for scale, m in (("timm", 2), ("timm", 3), ("tf", 2), ("timm-inc", 10), ("timm-inc", 9)):
        assert ("posterize keeps 0 bits" in code(RandAugment(2, m, scale))) == (m in (2, 10))


def test_a_policy_that_no_library_has_is_named():
    class Own(Policy):
        space, draw = "wide", None

    with pytest.raises(ValueError, match="policy: no library is known to have Own"):
        code(Own())
