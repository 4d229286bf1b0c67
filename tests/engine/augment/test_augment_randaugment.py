import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import RandAugment as Theirs
from torchvision.transforms.autoaugment import _apply_op

from engine.augment import OPERATIONS, Decisions, RandAugment, apply_operation, magnitudes
from engine.augment.magnitudes import arguments

NAMES = {name.lower(): name for name in Theirs()._augmentation_space(31, (32, 32))}
ARGUMENTLESS = {"identity", "autocontrast", "equalize"}


def pictures(batch, channels=3, height=28, width=28):
    generator = torch.Generator().manual_seed(batch)
    coarse = torch.rand(batch, channels, height // 4, width // 4, generator=generator)
    blobs = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    return (blobs * 254 + torch.rand(blobs.shape, generator=generator)).to(torch.uint8)


def their_name(ours):
    return NAMES[ours.replace("_", "")]


def their_argument(name, m, sign, size):
    values, signed = Theirs()._augmentation_space(31, size)[their_name(name)]
    return float(values[m]) * (sign if signed else 1) if values.ndim else 0.0


def decided(m, names, signs):
    return Decisions.at(m, torch.tensor([[OPERATIONS.index(name) for name in names]]), torch.tensor([signs]))


def part(decisions, steps, images):
    """Some of the steps and images."""
    rows = (decisions.operation, decisions.magnitude, decisions.sign, decisions.applied)
    return Decisions(*(each[steps][:, images] for each in rows))


def test_the_table_is_torchvisions():
    size = (28, 45)
    ours = magnitudes("torchvision", size)
    for name in OPERATIONS:
        values, signed = Theirs()._augmentation_space(31, size)[their_name(name)]
        assert ours[name].values == (tuple(values.tolist()) if values.ndim else ())
        assert ours[name].signed == signed
    assert [their_name(name) for name in OPERATIONS] == list(Theirs()._augmentation_space(31, size))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_every_operation_at_every_magnitude_is_torchvisions(channels, interpolation):
    """All 14 operations with both signs in one batch, at each M: equal to the bit to each image on its own."""
    size = (28, 45)
    images = pictures(2 * len(OPERATIONS), channels, *size)
    names, signs = OPERATIONS * 2, [1] * len(OPERATIONS) + [-1] * len(OPERATIONS)
    for m in range(31):
        got = RandAugment(1, m, interpolation=interpolation).apply(images, decided(m, names, signs))
        for image, name, sign, one in zip(images, names, signs, got, strict=True):
            argument = their_argument(name, m, sign, size)
            want = _apply_op(image, their_name(name), argument, InterpolationMode(interpolation), None)
            assert torch.equal(one, want), (name, m, sign)


@pytest.mark.parametrize("size", [(96, 96), (224, 224)])
def test_large_images_too(size):
    names = [name for name in OPERATIONS if name not in ARGUMENTLESS] + ["autocontrast", "equalize"]
    images = pictures(len(names), 3, *size)
    # At 4, 12, 20, 28 torchvision's shears bring pixels from exactly between two others.
    for m in (4, 9, 28):
        got = RandAugment(1, m).apply(images, decided(m, names, [1] * len(names)))
        for image, name, one in zip(images, names, got, strict=True):
            want = _apply_op(image, their_name(name), their_argument(name, m, 1, size), InterpolationMode.NEAREST, None)
            assert torch.equal(one, want), (name, m)


def test_floats_are_within_a_rounding_error_of_torchvision():
    names = [name for name in OPERATIONS if name not in ("posterize", "equalize", "solarize")]
    images = pictures(len(names)).float() / 255
    for m in (3, 17, 30):
        got = RandAugment(1, m, interpolation="bilinear").apply(images, decided(m, names, [-1] * len(names)))
        for image, name, one in zip(images, names, got, strict=True):
            argument = their_argument(name, m, -1, (28, 28))
            want = _apply_op(image, their_name(name), argument, InterpolationMode.BILINEAR, None)
            torch.testing.assert_close(one, want, rtol=0, atol=1e-5)


def test_floats_of_eight_bits_become_what_uint8_becomes():
    images = pictures(3 * 4)
    names = ["posterize", "equalize", "solarize"] * 4
    for m in (3, 17, 30):
        augment = RandAugment(1, m)
        floats = augment.apply(images.float() / 255, decided(m, names, [1] * 12))
        whole = augment.apply(images, decided(m, names, [1] * 12))
        torch.testing.assert_close(floats, whole.float() / 255, rtol=0, atol=1e-6)


def test_a_batch_is_its_images_one_by_one():
    images, augment = pictures(40), RandAugment(3, 14, interpolation="bilinear", fill=(10.0, 128.0, 255.0))
    decisions = augment.draw(40, torch.Generator().manual_seed(0))
    together = augment.apply(images, decisions)
    for b in range(40):
        alone = part(decisions, slice(None), slice(b, b + 1))
        assert torch.equal(augment.apply(images[b : b + 1], alone)[0], together[b])


def test_layers_follow_one_another():
    images, augment = pictures(30), RandAugment(2, 9)
    decisions = augment.draw(30, torch.Generator().manual_seed(0))
    first, second = (part(decisions, slice(n, n + 1), slice(None)) for n in (0, 1))
    assert torch.equal(augment.apply(images, decisions), augment.apply(augment.apply(images, first), second))


@pytest.mark.parametrize("channels", [1, 3])
def test_magnitude_0_changes_nothing(channels):
    # White apart: at M = 0 torchvision's threshold is 255, which inverts pixels of 255.
    for images in (pictures(4, channels), pictures(4, channels).float() / 255):
        for name in set(OPERATIONS) - {"autocontrast", "equalize"}:
            assert torch.equal(apply_operation(images, name, 0), images), name
    white = torch.full((1, 1, 8, 8), 255, dtype=torch.uint8)
    assert apply_operation(white, "solarize", 0).eq(0).all()


def test_grey_images_have_no_colour_to_change():
    images = pictures(4, 1)
    assert torch.equal(apply_operation(images, "color", 30, -1), images)


def test_the_tf_scale_runs_backwards():
    """tensorflow/tpu: posterize keeps int(0.4 M) bits and solarize inverts from int(25.6 M) up, so both fade with M."""
    table = magnitudes("tf", (224, 224))
    assert [table["posterize"].values[m] for m in (0, 2, 3, 5, 10)] == [0, 0, 1, 2, 4]
    assert [table["solarize"].values[m] for m in (0, 1, 5, 9, 10)] == [0, 25, 128, 230, 256]
    images = pictures(2)
    for m in (0, 1, 2):
        assert apply_operation(images, "posterize", m, scale="tf").eq(0).all()
    for name in ("posterize", "solarize"):
        change = [
            (apply_operation(images, name, m, scale="tf").int() - images.int()).abs().sum() for m in (1, 4, 7, 10, 30)
        ]
        assert change == sorted(change, reverse=True)
        assert change[0] > change[2]


def test_the_tf_enhancements_turn_at_5_and_have_no_sign():
    table = magnitudes("tf", (224, 224))
    assert [1 + table["color"].values[m] for m in (0, 5, 10)] == pytest.approx([0.1, 1.0, 1.9])
    assert not table["color"].signed
    images = pictures(2)
    assert torch.equal(apply_operation(images, "contrast", 5, scale="tf"), images)
    assert torch.equal(
        apply_operation(images, "contrast", 8, 1, scale="tf"), apply_operation(images, "contrast", 8, -1, scale="tf")
    )
    assert [table["rotate"].values[m] for m in (1, 10, 28)] == [3, 30, 84]
    assert table["translate_x"].values[10] == 100
    assert table["shear_x"].values[10] == pytest.approx(0.3)


def test_operations_and_signs_are_drawn_evenly():
    decisions = RandAugment(2, 9).draw(7000, torch.Generator().manual_seed(1))
    counts = torch.stack([(decisions.operation == k).sum() for k in range(14)]).double()
    # 14 000 draws: chi-square with 13 degrees of freedom exceeds 34.5 once in a thousand.
    assert ((counts - 1000).square() / 1000).sum() < 34.5
    assert abs(decisions.sign.double().mean()) < 3.3 / 14000**0.5
    assert decisions.sign.unique().tolist() == [-1, 1]
    # Independent between layers and images: a repeat happens in 1 of 14.
    repeats = (decisions.operation[0] == decisions.operation[1]).double().mean()
    assert abs(repeats - 1 / 14) < 3.3 * (1 / 14 / 7000) ** 0.5


def test_with_probability_p_an_operation_is_applied_and_else_the_image_stays():
    images, generator = pictures(300), torch.Generator().manual_seed(0)
    decisions = RandAugment(2, 9, p=0.3).draw(300, generator)
    assert abs(decisions.applied.double().mean() - 0.3) < 3.3 * (0.3 * 0.7 / 600) ** 0.5
    after = RandAugment(2, 9, p=0.3).apply(images, decisions)
    untouched = ~decisions.applied.any(dim=0)
    assert untouched.any()
    assert torch.equal(after[untouched], images[untouched])
    assert torch.equal(RandAugment(2, 9, p=0)(images, generator), images)
    # With p = 1 nothing more is drawn, so that a run of before is a run of now.
    whole = RandAugment(2, 9, p=1).draw(300, torch.Generator().manual_seed(0))
    assert torch.equal(whole.operation, decisions.operation)
    assert whole.applied.all()


def test_the_same_generator_decides_the_same():
    images, augment = pictures(32), RandAugment(2, 20)
    first = augment(images, torch.Generator().manual_seed(5))
    assert torch.equal(first, augment(images, torch.Generator().manual_seed(5)))
    assert not torch.equal(first, augment(images, torch.Generator().manual_seed(6)))


def test_no_operations_is_the_identity():
    images = pictures(4)
    assert torch.equal(RandAugment(0)(images, torch.Generator()), images)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("fill", [0.0, (0.5, 0.25, 0.0)])
def test_the_host_never_waits_for_the_images_nor_loops_over_them(watch, dtype, fill):
    """A question about images on "meta" is an error, a copy to them must not block, and as many calls do any batch."""
    augment, calls = RandAugment(2, 9, fill=fill, interpolation="bilinear"), []
    arguments("torchvision", (32, 32))  # makes and keeps the table, which the calls below only read
    for batch in (14 * 2, 14 * 20):
        every = torch.arange(14).repeat(2, batch // 14)
        decisions = Decisions.at(9, every, torch.ones_like(every))
        with watch() as seen:
            augmented = augment.apply(torch.empty(batch, 3, 32, 32, dtype=dtype, device="meta"), decisions)
        assert augmented.shape == (batch, 3, 32, 32)
        assert augmented.dtype == dtype
        assert not seen.waits
        calls.append(seen.calls)
    assert calls[0] == calls[1]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: RandAugment(n=-1), "n: expected 0 or more operations, got -1"),
        (lambda: RandAugment(m=31), "m: expected a whole number from 0 to 30, got 31"),
        (lambda: RandAugment(m=2.5), "m: expected a whole number from 0 to 30, got 2.5"),
        (lambda: RandAugment(scale="pil"), "scale: 'pil' is not one of torchvision, tf"),
        (lambda: RandAugment(p=1.5), "p: expected a probability from 0 to 1, got 1.5"),
        (lambda: magnitudes("pil", (8, 8)), "scale: 'pil' is not one of torchvision, tf"),
        (lambda: apply_operation(pictures(1), "shear", 3), "name: 'shear' is not one of identity, shear_x"),
        (lambda: apply_operation(pictures(1), "rotate", 3, 0), "sign: expected 1 or -1, got 0"),
        (
            lambda: RandAugment()(pictures(1, 2), torch.Generator()),
            r"expected shape \(B, 1 or 3, H, W\).*\(1, 2, 28, 28\)",
        ),
        (lambda: RandAugment()(torch.randn(2, 3, 8, 8), torch.Generator()), "expected values in \\[0, 1\\], got -"),
        (lambda: RandAugment(fill=2.0)(torch.rand(2, 3, 8, 8), torch.Generator()), "fill: expected 0 to 1 for"),
        (lambda: RandAugment().apply(pictures(2), RandAugment().draw(3, torch.Generator())), "for 3 images, not 2"),
    ],
)
def test_bad_input_is_named(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_integers_other_than_uint8_are_refused():
    with pytest.raises(TypeError, match=r"expected uint8, float32 or float64, got torch.int64"):
        RandAugment()(pictures(2).long(), torch.Generator())
