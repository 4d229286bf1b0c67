from dataclasses import replace

import pytest
import torch

from engine.data.base import VOID
from engine.data.scenes import Scenes
from engine.data.scenes.annotators import NAMES, SMALL, Habits, annotators, confusion, dilate, erode


def labels(classes, seed=0, count=3, size=24):
    """Random blocky label maps with values 0..classes."""
    coarse = torch.randint(0, classes + 1, (count, size // 4, size // 4), generator=torch.Generator().manual_seed(seed))
    return coarse.repeat_interleave(4, 1).repeat_interleave(4, 2)


def window(image, r, c, radius):
    return image[max(0, r - radius) : r + radius + 1, max(0, c - radius) : c + radius + 1]


def draw(semantic, things, habits=SMALL, seed=0):
    drawn = annotators(semantic, torch.Generator().manual_seed(seed), things, habits)
    return dict(zip(NAMES, drawn.unbind(1), strict=True))


@pytest.mark.parametrize("radius", [0, 1, 3])
def test_dilation_and_erosion_are_the_extremes_of_windows(radius):
    truth = labels(4)
    wide, narrow = dilate(truth, radius), erode(truth, radius)
    for r in range(24):
        for c in range(24):
            near = window(truth[0], r, c, radius)
            assert wide[0, r, c] == near.max()
            assert narrow[0, r, c] == near.min()


def test_good_is_the_truth_and_blank_is_nothing():
    truth = labels(3)
    drawn = draw(truth, 3)
    assert torch.equal(drawn["good"], truth)
    assert not drawn["blank"].any()


@pytest.mark.parametrize("things", [1, 3])
def test_over_and_under_are_decided_pixel_by_pixel(things):
    # Label things + 1 is ground: never drawn, but drawn over.
    truth, habits = labels(things + 1), Habits(over=2, under=1)
    drawn = draw(truth, things, habits)
    for b in range(len(truth)):
        thing = torch.where(truth[b] <= things, truth[b], 0)
        for r in range(24):
            for c in range(24):
                own, near = int(truth[b, r, c]), int(window(thing, r, c, 2).max())
                is_thing = 1 <= own <= things
                assert drawn["over"][b, r, c] == (own if is_thing or not near else near)
                whole = bool((window(truth[b], r, c, 1) == own).all())
                assert drawn["under"][b, r, c] == (0 if is_thing and not whole else own)


def test_wrong_moves_every_class_to_the_next():
    truth = labels(5)
    wrong = draw(truth, 4)["wrong"]
    following = torch.tensor([0, 2, 3, 4, 1, 5])
    assert torch.equal(wrong, following[truth])


def test_wrong_of_one_class_is_thickened_and_fractured():
    truth = torch.zeros(8, 40, 40, dtype=torch.int64)
    truth[:, 8:32, 8:32] = 1
    habits = Habits(fractures=1, width=2.0, thicken=2)
    thick = dilate(truth, 2)
    wrong = draw(truth, 1, habits)["wrong"]
    assert (wrong <= thick).all()
    for b in range(8):
        r, c = ((thick - wrong)[b] == 1).nonzero().double().unbind(1)
        assert len(r) > 10
        # The lost pixels lie on a straight strip: their smallest principal deviation is that of a width of 2 px, with
        # centres up to 1 px from the axis.
        points = torch.stack((r - r.mean(), c - c.mean()))
        assert torch.linalg.eigvalsh(points @ points.T / len(r))[0].sqrt() < 1.0
        # Through the object: some lost pixels are the truth's.
        assert (truth[b].bool() & (wrong[b] == 0)).any()


def test_fractures_cross_objects_only_where_there_are_any():
    drawn = draw(torch.zeros(2, 16, 16, dtype=torch.int64), 1)
    assert not any(mask.any() for mask in drawn.values())


def test_fractures_start_at_any_pixel_of_the_object():
    truth = torch.zeros(1, 9, 9, dtype=torch.int64)
    truth[0, 2, 3] = truth[0, 6, 7] = 1
    habits = Habits(fractures=1, width=0.0, thicken=0)
    hit = [annotators(truth, torch.tensor([[[place, 0.1]]]), 1, habits)[0, 3] for place in (0.0, 0.49, 0.5, 0.999)]
    assert [(mask[2, 3].item(), mask[6, 7].item()) for mask in hit] == [(0, 1), (0, 1), (1, 0), (1, 0)]


def test_void_stays_void_and_does_not_spread():
    truth = labels(2)
    truth[:, :3] = VOID
    drawn = draw(truth, 2)
    for name, mask in drawn.items():
        assert torch.equal(mask == VOID, truth == VOID), name


def test_confusion_is_counted_by_columns_of_the_truth():
    truth, drawn = labels(3, 1), labels(3, 2)
    truth[0, 0] = VOID
    matrix = confusion(drawn, truth, 4)
    for i in range(4):
        for j in range(4):
            both = int(((drawn == i) & (truth == j)).sum())
            assert matrix[i, j] == pytest.approx(both / int((truth == j).sum()))
    torch.testing.assert_close(matrix.sum(0), torch.ones(4).double())
    assert confusion(truth, truth, 5)[:, 4].isnan().all()


def test_each_annotator_of_real_scenes_errs_in_its_own_way():
    dataset = Scenes("scene32b")
    batch = dataset.batch(torch.arange(100))
    drawn = dict(zip(NAMES, dataset.annotators(batch).unbind(1), strict=True))
    matrix = {name: confusion(mask, batch.semantic, 2) for name, mask in drawn.items()}
    assert torch.equal(matrix["good"], torch.eye(2).double())
    assert torch.equal(matrix["blank"], torch.tensor([[1.0, 1], [0, 0]]).double())
    assert matrix["over"][1, 1] == 1
    assert matrix["over"][1, 0] > 0.1
    assert matrix["under"][0, 0] == 1
    assert 0.1 < matrix["under"][0, 1] < 0.6
    assert 0.1 < matrix["wrong"][0, 1] < 0.6


def test_annotators_of_a_scene_do_not_depend_on_its_batch():
    dataset = Scenes("scene32b")
    alone, within = (dataset.annotators(dataset.batch(torch.tensor(index))) for index in ([5], [2, 9, 5]))
    assert torch.equal(alone[0], within[2])
    wrong = within[:, NAMES.index("wrong")]
    assert not torch.equal(wrong[0], wrong[1])


def test_impossible_requests_are_refused_by_name():
    truth = labels(2)
    generator = torch.Generator()
    with pytest.raises(TypeError, match="semantic"):
        annotators(truth.float(), generator, 2)
    with pytest.raises(ValueError, match="things"):
        annotators(truth, generator, 0)
    with pytest.raises(ValueError, match="draws"):
        annotators(truth, torch.rand(3, 1, 2), 2)
    with pytest.raises(ValueError, match="under"):
        Habits(under=-1)
    dataset = Scenes("scene32b")
    with pytest.raises(ValueError, match="semantic"):
        dataset.annotators(replace(dataset.batch(torch.arange(2)), semantic=None))
