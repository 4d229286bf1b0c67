import torch

from engine.data.base import VOID
from engine.metrics.doubts import answer_rows, borders, by_picture, doubt_maps, doubts, hesitation


def seeded():
    return torch.Generator().manual_seed(0)


def probabilities(*shape):
    return torch.randn(*shape, generator=seeded()).softmax(dim=2)


def test_doubts_add_up_and_agreeing_passes_have_no_epistemic_part():
    part = doubts(probabilities(4, 5, 3, 6, 6))
    torch.testing.assert_close(part["total"], part["aleatoric"] + part["epistemic"])
    same = doubts(probabilities(4, 1, 3).expand(-1, 5, -1))
    torch.testing.assert_close(same["epistemic"], torch.zeros(4), atol=1e-6, rtol=0)


def test_maps_are_those_of_pixels_and_even_over_a_whole_picture():
    images, told = torch.rand(2, 1, 4, 6, generator=seeded()), probabilities(2, 3, 5, 4, 6)
    assert torch.equal(doubt_maps(told, images)["total"], doubts(told)["total"])
    told = probabilities(2, 3, 5)
    shown = doubt_maps(told, images)
    assert shown["pictures"].shape == (2, 3, 4, 6)
    assert torch.equal(shown["epistemic"][:, 3, 5], doubts(told)["epistemic"])
    assert (shown["epistemic"].flatten(1).std(dim=1) < 1e-6).all()


def test_rows_keep_each_answer_beside_its_truth():
    values, truth = torch.rand(2, 3, 4, 5, generator=seeded()), torch.randint(3, (2, 4, 5), generator=seeded())
    truth[0, 1, 2] = VOID
    rows, label = answer_rows(values, truth)
    slow = [(values[b, :, y, x], truth[b, y, x]) for b in range(2) for y in range(4) for x in range(5)]
    slow = [(value, said) for value, said in slow if said != VOID]
    assert torch.equal(rows, torch.stack([value for value, _ in slow]))
    assert label.tolist() == [int(said) for _, said in slow]
    assert torch.equal(answer_rows(values[:, :, 0, 0], truth[:, 0, 0])[0], values[:, :, 0, 0])


def test_a_picture_takes_the_mean_of_its_pixels():
    values = torch.rand(3, 4, 5, generator=seeded())
    torch.testing.assert_close(by_picture(values), values.mean(dim=(1, 2)))
    assert torch.equal(by_picture(values[:, 0, 0]), values[:, 0, 0])


def test_hesitation_is_0_for_the_sure_and_log_classes_for_the_clueless():
    sure, clueless = torch.eye(4)[:1], torch.full((1, 4), 0.25)
    torch.testing.assert_close(hesitation(torch.cat([sure, clueless])), torch.tensor([0.0, 4.0]).clamp(1).log())


def test_borders_touch_another_label():
    labels = torch.randint(3, (2, 7, 9), generator=seeded())
    for b, y, x in torch.cartesian_prod(torch.arange(2), torch.arange(7), torch.arange(9)).tolist():
        around = labels[b, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
        assert borders(labels)[b, y, x] == (around != labels[b, y, x]).any()
    assert not borders(torch.full((1, 4, 4), 2)).any()
