"""The stream: its law, its dice, what its noises are made of, and that no test picture is in it."""

import pytest
import torch

from engine.data import open_data
from engine.data.stream import (
    COPIED,
    COUNT,
    FLOOR,
    KINDS,
    NOISES,
    draw,
    expected,
    slightly_changed,
    textures,
)


def test_the_law_is_zipfs_with_a_floor_and_even_noise():
    for tail, noise in ((1.5, 0.2), (0.0, 0.0), (1.0, 0.5), (4.0, 0.9)):
        counts = expected(tail, noise, 10_000)
        assert counts.sum().item() == pytest.approx(10_000)
        assert counts[-len(NOISES) :].tolist() == pytest.approx([10_000 * noise / len(NOISES)] * len(NOISES))
        garments = counts[: -len(NOISES)]
        assert (garments >= FLOOR).all()
        whole = sum(rank**-tail for rank in range(1, 11))
        for rank, count in enumerate(garments.tolist()[1:], 2):
            law = 10_000 * (1 - noise) * rank**-tail / whole
            assert count == pytest.approx(max(law, FLOOR))
    assert expected(0.0, 0.0)[:10].tolist() == pytest.approx([COUNT / 10] * 10)


@pytest.mark.parametrize(("tail", "noise"), [(1.5, 0.2), (0.0, 0.0), (3.0, 0.6)])
def test_each_kind_comes_as_often_as_the_law_says(tail, noise):
    counts = torch.bincount(draw(tail, noise, 3, 20_000)[1], minlength=len(KINDS)).double()
    share = expected(tail, noise, 20_000) / 20_000
    deviation = (20_000 * share * (1 - share)).sqrt()
    assert ((counts - 20_000 * share).abs() <= 3 * deviation).all()


def test_the_same_seed_gives_the_same_stream_and_another_one_another():
    one, same, other = draw(1.5, 0.2, 0, 2000), draw(1.5, 0.2, 0, 2000), draw(1.5, 0.2, 1, 2000)
    assert torch.equal(one[0], same[0])
    assert torch.equal(one[1], same[1])
    assert not torch.equal(one[1], other[1])


@pytest.fixture(scope="module")
def rows():
    return open_data("stream").rows


@pytest.fixture(scope="module")
def train():
    return open_data("garments").rows


def bytes_of(images):
    return [image.numpy().tobytes() for image in images]


def test_no_test_picture_is_in_the_stream_in_either_polarity(rows):
    there = set(bytes_of(rows.images))
    for spec in ("garments", "glyphs", "stream"):
        images = open_data(spec, "test").rows.images
        assert not there & set(bytes_of(images))
        assert not there & set(bytes_of(255 - images))


def test_garments_keep_their_label_and_come_again(rows, train):
    label_of = dict(zip(bytes_of(train.images), train.labels.tolist(), strict=True))
    garments = rows.labels < 10
    found = bytes_of(rows.images[garments])
    # A few garments lie in the set twice, under two labels.
    wrong = sum(label_of[one] != label for one, label in zip(found, rows.labels[garments].tolist(), strict=True))
    assert wrong <= 0.001 * len(found)
    assert len(set(found)) <= 10_000 < len(found)


def test_noises_are_what_they_are_called(rows, train):
    clean, letters = set(bytes_of(train.images)), set(bytes_of(open_data("glyphs").rows.images))

    def of(kind):
        return rows.images[rows.labels == KINDS.index(kind)]

    assert set(bytes_of(of("glyph"))) <= letters
    assert set(bytes_of(255 - of("negative"))) <= clean
    copies = of("copy").flatten(1).float()
    assert len(copies) > 100 * COPIED
    assert len(set(bytes_of(of("copy")))) > 10 * COPIED, "near, not the same"
    assert of("texture").float().flatten(1).std(dim=1).min() > 30


def test_negatives_have_the_long_tail_of_the_garments(train):
    images, kinds = draw(2.0, 0.9, 0, 20_000)
    label_of = dict(zip(bytes_of(train.images), train.labels.tolist(), strict=True))
    labels = [label_of[one] for one in bytes_of(255 - images[kinds == KINDS.index("negative")])]
    counts = torch.bincount(torch.tensor(labels), minlength=10).double()
    share = expected(2.0, 0.0, 20_000)[:10] / 20_000
    assert ((counts - len(labels) * share).abs() <= 4 * (len(labels) * share).sqrt() + 4).all()


def test_a_slight_change_moves_by_a_pixel_and_darkens_by_a_fifth_at_most():
    dice = torch.Generator().manual_seed(0)
    image = torch.randint(50, 256, (1, 1, 9, 9), dtype=torch.uint8, generator=dice)
    seen = set()
    for one in slightly_changed(image.expand(200, -1, -1, -1), dice):
        fits = []
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                factor = one.float() / image[0].roll((-down, -right), (1, 2)).float()
                if factor.max() - factor.min() < 0.03:
                    fits.append((down, right))
                    assert 0.78 < factor.mean() < 1.01
        assert len(fits) == 1
        seen.update(fits)
    assert len(seen) == 9


def test_textures_are_waves_of_many_directions():
    dice = torch.Generator().manual_seed(0)
    images = textures(50, 28, dice).float()
    assert images.shape == (50, 1, 28, 28)
    spectrum = torch.fft.rfft2(images[:, 0] - images.mean(dim=(1, 2, 3))[:, None, None]).abs().square()
    peak = spectrum.flatten(1).topk(4).values.sum(dim=1) / spectrum.flatten(1).sum(dim=1)
    assert peak.median() > 0.4, "most of what varies is one wave"
    assert len(spectrum.flatten(1).argmax(dim=1).unique()) > 20


def test_the_name_tells_tail_noise_and_seed():
    assert torch.equal(open_data("stream").rows.images, open_data("stream:1.5:0.2:0").rows.images)
    curated = open_data("stream:0:0").rows
    assert curated.labels.max() == 9
    assert len(curated) == COUNT
    assert open_data("stream:0:0", "test").rows.labels.bincount().tolist() == [200] * 10


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("stream:-1", r"the exponent of the tail is 0 \(all alike\) or more, got -1; try 1.5"),
        ("stream:nan", "the exponent of the tail"),
        ("stream:1:0.95", "the share of noise is 0 to 0.9, got 0.95; try 0.2"),
        ("stream:1:-0.1", "the share of noise is 0 to 0.9, got -0.1"),
        ("stream:steep", "'steep' is not TAIL:NOISE:SEED; ask for stream, stream:0:0"),
        ("stream:1:0.1:0:9", "'1:0.1:0:9' is not TAIL:NOISE:SEED"),
        ("stream:1:0.1:-4", "'1:0.1:-4' is not TAIL:NOISE:SEED"),
    ],
)
def test_what_cannot_be_is_told(spec, says):
    with pytest.raises(ValueError, match=says):
        open_data(spec)


def test_too_few_for_the_floor_is_told():
    with pytest.raises(ValueError, match="10 kinds need 120 garments or more, got 80; ask for more"):
        expected(1.0, 0.2, 100)
