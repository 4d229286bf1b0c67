"""Both judges under one deal: who knows is right, groups by lot are a coin, and numbers of groups tell nothing."""

import dataclasses

import numpy as np
import pytest
import torch

from engine.data.base import Batch, Facts, Memory
from engine.metrics import forced_choice
from engine.metrics.concepts import EYES, Bank, describe, examine, look_at, nearest_to_mean, rows
from engine.ops.attributes import NAMES

HEIGHT = NAMES.index("height")


def bank(count=600, groups=3, seed=0):
    """A bank whose learner sees the classes one-hot, and whose attributes are the class's number and noise."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(groups, (count,), generator=draw)
    measured = torch.randn(count, len(NAMES), generator=draw)
    measured[:, HEIGHT] = labels + 0.1 * torch.rand(count, generator=draw)
    seen = torch.nn.functional.one_hot(labels).float()
    return Bank(torch.randn(count, 5, generator=draw), seen, measured, labels, torch.arange(count))


def test_true_classes_and_a_judge_who_sees_them_are_always_right():
    there = bank()
    found = examine(there, there.labels, 3, 200)
    assert found.learnability.share == 1
    assert found.learnability.low > 0.97
    assert found.describability.share > 0.95, "tall is 2 and more, wide is 0; in between is neither"


def test_groups_by_lot_are_a_coin_for_both():
    there = bank(2000)
    lot = torch.randint(5, (2000,), generator=torch.Generator().manual_seed(3))
    found = examine(there, lot, 5, 800)
    for judged in (found.learnability, found.describability):
        assert judged.low < 0.5 < judged.high


def test_what_is_asked_about_was_not_described_and_both_answer_the_same_trials():
    there = bank()
    found = examine(there, there.labels, 3, 60, references=4)
    asked = {row for trial in found.trials for row in (*trial.references, *trial.pair)}
    assert not found.fitted[list(asked)].any()
    assert len(found.by_examples) == len(found.by_words) == len(found.trials) == 60
    spoilt = there.attributes.clone()
    spoilt[torch.from_numpy(~found.fitted)] = torch.randn(300, len(NAMES))
    again = examine(dataclasses.replace(there, attributes=spoilt), there.labels, 3, 60, references=4)
    np.testing.assert_array_equal(again.descriptions, found.descriptions)
    np.testing.assert_array_equal(describe(there, there.labels, 3)[1], found.descriptions)


def test_the_numbers_of_groups_mean_nothing_to_a_judge():
    """The same groups under other numbers: each trial of the first deal is answered alike."""
    there = bank()
    found = examine(there, there.labels, 3, 60)
    moved = (there.labels + 7) % 10
    scale, said, _ = describe(there, moved, 10)
    trials = [forced_choice.Trial((one.group + 7) % 10, one.references, one.pair, one.answer) for one in found.trials]
    judge = forced_choice.answers(trials, there.seen.numpy())
    assert judge == found.by_examples
    for group in range(3):
        np.testing.assert_array_equal(said[(group + 7) % 10], found.descriptions[group])
    np.testing.assert_array_equal(scale.cuts, found.scale.cuts)


def test_small_groups_are_left_out_and_told_and_where_all_are_small_it_is_said():
    there = bank()
    groups = there.labels.clone()
    groups[:6] = 3
    groups[6:40] = -1
    found = examine(there, groups, 4, 40)
    assert found.skipped == (3,)
    told = rows(found, there, groups, pictures(600))
    assert told["group"].tolist() == [1, 2, 3]
    assert told["members"].tolist() == [int((groups == group).sum()) for group in range(3)]
    with pytest.raises(ValueError, match=r"none of 3 can be asked about; .* one of 301 members"):
        examine(there, there.labels, 3, 40, references=300)


def test_hard_strangers_are_of_the_nearest_group_by_features():
    there = bank()
    places = dataclasses.replace(there, features=torch.tensor([0.0, 1.0, 9.0])[there.labels][:, None])
    for trial in examine(places, there.labels, 3, 60, hard=True).trials:
        stranger = int(there.labels[trial.pair[1 - trial.answer]])
        assert stranger == {0: 1, 1: 0, 2: 1}[trial.group]


def pictures(count, classes=("a", "b", "c")):
    """A set of grey pictures, each as bright as its number."""
    images = (torch.arange(count) % 256).byte()[:, None, None, None].expand(-1, 1, 8, 8).contiguous()
    return Memory(Batch(images, torch.arange(count), torch.arange(count) % 3), Facts(1, 8, classes))


def test_rows_say_of_each_group_what_is_in_it():
    there = bank()
    groups = torch.where(torch.arange(600) < 450, there.labels, (there.labels + 1) % 3)
    told = rows(examine(there, groups, 3, 60), there, groups, pictures(600))
    for place, group in enumerate(range(3)):
        within = there.labels[groups == group]
        share = (within == group).float().mean().item()
        assert told["commonest"][place] == group
        assert told["purity_and_learnability"][place, 0] == pytest.approx(share)
        assert told["mostly"][place] == f"{'abc'[group]} {share:.0%}"
        members = (groups == group).nonzero().flatten()
        away = (there.features[members] - there.features[members].mean(dim=0)).norm(dim=1)
        first = members[away.argmin()]
        assert nearest_to_mean(there, groups == group)[0] == first
        assert (told["typical"][place] * 255).round().unique().tolist() == [int(first) % 256]
    unknown = dataclasses.replace(there, labels=torch.full((600,), -1))
    told = rows(examine(unknown, groups, 3, 60), unknown, groups, pictures(600, ()))
    assert told["mostly"] == ["no classes here"] * 3
    assert "purity_and_learnability" not in told


@pytest.mark.parametrize("seen", EYES)
def test_a_bank_is_the_same_in_portions_and_knows_copies(seen):
    data = pictures(300)
    data.rows.images[299] = data.rows.images[5]
    embed = lambda images: images.flatten(1)  # noqa: E731
    batch = data.batch(torch.arange(300)).to("cpu")
    whole = look_at([batch], embed, seen)
    parts = look_at([data.batch(part).to("cpu") for part in torch.arange(300).split(70)], embed, seen)
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value)
    copies = whole["copies"]
    assert copies[299] == copies[5] != copies[6]
    assert len(copies[:256].unique()) == 256
