import math
from dataclasses import replace

import pytest
import torch

from engine.data.scenes.parameters import OBJECT_SLOTS, PRESETS, SCENE_SLOTS, Preset, layout, mix32, uniforms


def test_mix32_is_the_low_half_of_splitmix64():
    # First outputs of the published generator for these seeds.
    assert mix32(1234567) == 6457827717110365317 & 0xFFFFFFFF
    assert mix32(0) == 0xE220A8397B1DCDAF & 0xFFFFFFFF


def test_mix32_takes_every_integer_and_their_order_into_account():
    assert len({mix32(1, 2), mix32(2, 1), mix32(1), mix32(1, 2, 0), mix32(1, 2 + 2**32), mix32(-1, 2)}) == 6


def test_no_scene_of_one_split_is_a_scene_of_another():
    seeds = [mix32(0, split, position) for split in range(3) for position in range(3000)]
    assert len(set(seeds)) == len(seeds)


def test_slots_are_sixteen_and_twenty_four():
    assert (len(SCENE_SLOTS), len(OBJECT_SLOTS)) == (16, 24)


def test_a_scene_keeps_its_numbers_when_more_objects_are_allowed():
    few, many = PRESETS["scene64"], replace(PRESETS["scene64"], objects=7)
    shorter, longer = uniforms(few, 3, "val", [4, 9]), uniforms(many, 3, "val", [4, 9])
    assert shorter.shape == (2, 16 + 24 * 3)
    assert torch.equal(shorter, longer[:, : shorter.shape[1]])


def test_numbers_differ_between_seeds_splits_and_positions():
    preset = PRESETS["scene64"]
    vectors = [uniforms(preset, *key)[0] for key in ((0, "train", [0]), (1, "train", [0]), (0, "val", [0]))]
    vectors.append(uniforms(preset, 0, "train", [1])[0])
    for one in range(4):
        for other in range(one):
            assert not torch.equal(vectors[one], vectors[other])


def test_objects_are_sorted_far_first_with_inactive_ones_last():
    drawn = layout(PRESETS["scene96"], uniforms(PRESETS["scene96"], 0, "train", range(100)))
    assert (drawn.active[:, :-1] >= drawn.active[:, 1:]).all()
    both = drawn.active[:, 1:]
    assert (drawn.depth[:, :-1] >= drawn.depth[:, 1:])[both].all()


def test_counts_are_uniform_between_fewest_and_most():
    preset = replace(PRESETS["scene64"], fewest=0)
    counts = layout(preset, uniforms(preset, 0, "train", range(2000))).active.sum(1)
    share = torch.bincount(counts, minlength=4) / 2000
    # Four equally likely counts: standard deviation of a share is 0.0097.
    assert (share - 0.25).abs().max() < 0.04


def test_slots_mean_what_the_preset_says():
    preset = Preset(size=100, objects=1, classes=4, smallest=0.1, largest=0.3)
    vector = torch.full((1, 40), 0.5)
    vector[0, 16 + OBJECT_SLOTS.index("kind")] = 0.75
    vector[0, 16 + OBJECT_SLOTS.index("x")] = 0.0
    vector[0, 16 + OBJECT_SLOTS.index("turn")] = 0.0
    vector[0, 16 + OBJECT_SLOTS.index("aspect")] = 1.0
    drawn = layout(preset, vector)
    half, stretch, angle = 0.2 * 100 / math.sqrt(2), math.exp(0.175), -math.pi / 6
    assert drawn.kind.tolist() == [[3]]
    assert drawn.depth.item() == 2
    assert drawn.extent.item() == pytest.approx(half)
    expected = [
        [half * stretch * math.cos(angle), -half / stretch * math.sin(angle), 8.0],
        [half * stretch * math.sin(angle), half / stretch * math.cos(angle), 50.0],
    ]
    torch.testing.assert_close(drawn.pose[0, 0], torch.tensor(expected, dtype=torch.float64))
    # Centre slots: the middle of the image shows the middle of the photograph, the corner zoom away from it.
    torch.testing.assert_close(drawn.view[0] @ torch.tensor([50.0, 50, 1]).double(), torch.zeros(2).double())
    torch.testing.assert_close(
        drawn.view[0] @ torch.tensor([100.0, 0, 1]).double(), torch.tensor([0.65, -0.65]).double()
    )
    assert (drawn.horizon.item(), drawn.slope.item(), drawn.gain.item()) == pytest.approx((72.5, 0.0, 1.0))


def test_no_pose_reaches_outside_its_patch():
    for preset in PRESETS.values():
        half = preset.largest * preset.size * math.exp(0.175)
        assert preset.patch() % 2 == 0
        assert preset.patch() / 2 >= 1.03 * half + 1
        assert preset.patch(1.2) / 2 >= 1.2 * 1.03 * half + 1


@pytest.mark.parametrize(
    ("change", "word"),
    [({"size": 8}, "size"), ({"fewest": 4}, "fewest"), ({"objects": 0}, "objects"), ({"smallest": 0.6}, "smallest")],
)
def test_impossible_presets_are_refused_by_name(change, word):
    with pytest.raises(ValueError, match=word):
        replace(PRESETS["scene64"], **change)
