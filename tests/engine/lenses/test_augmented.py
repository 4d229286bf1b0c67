"""What augmentation does to a picture, as a classifier sees it, against the operations done one by one."""

import pytest
import torch
from torch import nn

from engine.augment import OPERATIONS, apply_operation
from engine.bench import Bench, Setup
from engine.lenses.augmented import DRAWS, MIX, SHEET, STILL


def answers(lens, model, images, **knobs):
    with torch.random.fork_rng():
        return list(lens.answers(model, lens.params.make(knobs), images, Bench(Setup(device="cpu"))))


def answer(lens, model, images, **knobs):
    return answers(lens, model, images, **knobs)[-1]


def pictures(count=3):
    return torch.randint(0, 210, (count, 3, 24, 24), generator=torch.Generator().manual_seed(0)) / 255


class Constant(nn.Module):
    classes = ("dark", "light")

    def forward(self, images):
        return torch.tensor([[0.0, 2.0]]).expand(len(images), 2)


class Brightness(nn.Module):
    """Calls a picture light with probability sigmoid(20 (mean - 1/2)), dark otherwise."""

    classes = ("dark", "light")

    def forward(self, images):
        score = 20 * (images.mean(dim=(1, 2, 3)) - 0.5)
        return torch.stack([torch.zeros_like(score), score], dim=1)


def test_the_class_is_kept_at_m_0_and_the_course_is_the_average_over_draws():
    image = 0.4 + 0.05 * torch.rand(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    told = answer(STILL, Brightness(), image, n=1, m=30, draws=64)
    assert told["called"] == ["dark"]
    first = Brightness()(image).softmax(1)[0, 0]
    assert torch.allclose(told["probability"], first)
    assert torch.allclose(told["average"][:, 0], torch.arange(0, 31, 3.0))
    assert torch.allclose(told["chance"][:, 1], torch.tensor(0.5))
    assert (told["weakest_draw"][:, 1] <= told["average"][:, 1] + 1e-6).all()
    assert told["average"][-1, 1] < told["average"][0, 1]
    for name, kept in zip(OPERATIONS, told["kept"].tolist(), strict=True):
        each = [Brightness()(apply_operation(image, name, 30, sign)).softmax(1)[0, 0] for sign in (1, -1)]
        assert kept == pytest.approx(torch.stack(each).mean().item(), abs=1e-5), name
    assert told["kept"][OPERATIONS.index("identity")] == pytest.approx(first.item())


def test_the_curve_grows_while_it_is_drawn():
    reports = answers(STILL, Brightness(), pictures(1)[:, :1], draws=2)
    assert [len(report["average"]) for report in reports] == [*range(1, 12), 11]
    assert "kept" not in reports[-2]


def test_a_network_that_does_not_look_never_loses_the_class():
    told = answer(STILL, Constant(), pictures(1))
    assert told["halved_at_M"] == ["at none"]
    assert torch.allclose(told["average"][:, 1], torch.tensor(2.0).sigmoid())


def test_the_sheet_tells_what_takes_no_magnitude_and_what_runs_backwards():
    images = torch.linspace(0.05, 0.95, 28 * 28).view(1, 1, 28, 28)
    released = {"posterize", "solarize"}
    for scale, backwards in (("torchvision", set()), ("tf", released), ("timm", released), ("timm-inc", set())):
        told = answer(SHEET, Constant(), images, scale=scale)
        says = dict(zip(told["operation"], told["with_M"], strict=True))
        assert {name for name, word in says.items() if word == "takes no magnitude"} == {
            "identity", "autocontrast", "equalize"
        }  # fmt: skip
        assert {name for name, word in says.items() if word == "RUNS BACKWARDS"} == backwards
        assert says["color"] == "does nothing"  # a grey picture
        assert told["rotate"].shape == (6, 1, 28, 28)


def test_each_draw_is_the_operations_that_are_told_in_their_order():
    image = pictures(1)
    told = answer(DRAWS, Constant(), image, n=2, m=20, seed=3)
    assert told["tiles"].shape == (32, 3, 24, 24)
    assert torch.equal(told["tiles"][0], image[0])
    assert told["applied"][0] == "light, 88%"
    for tile, said in zip(told["tiles"][1:], told["applied"][1:], strict=True):
        picture = image
        for word in said.split(", "):
            name = next(name for name in OPERATIONS if word.startswith(name.replace("_", " ")))
            sign = -1 if " -" in word or ("+" not in word and "-" in word) else 1
            picture = apply_operation(picture, name, 20, sign)
        assert torch.allclose(tile, picture[0], atol=1e-6), said
    assert torch.allclose(told["still"], torch.tensor(2.0).sigmoid())


def test_a_draft_comes_before_the_network_is_asked():
    class Counts(Constant):
        asked = 0

        def forward(self, images):
            self.asked += len(images)
            return super().forward(images)

    model = Counts()
    reports = DRAWS.answers(model, DRAWS.params.make({}), pictures(1), Bench(Setup(device="cpu")))
    draft = next(reports)
    assert model.asked == 0
    assert "still" not in draft
    assert torch.equal(next(reports)["tiles"], draft["tiles"])
    assert model.asked == 32


def test_a_tile_stays_itself_under_the_hand():
    def drawn(**knobs):
        told = answers(DRAWS, Constant(), pictures(1), seed=5, **knobs)[0]["applied"][1:]
        return [[word.split(" ")[0] for word in said.split(", ")] for said in told]

    two, three = drawn(n=2, m=9), drawn(n=3, m=9)
    assert drawn(n=2, m=25) == two, "M changes how strong an operation is, not which one"
    assert [words[:2] for words in three] == two, "a third operation follows the two"
    assert answers(DRAWS, Constant(), pictures(1), n=0)[0]["applied"][1:] == ["nothing"] * 31
    assert drawn(n=2, m=9) != [
        [word.split(" ")[0] for word in said.split(", ")]
        for said in answers(DRAWS, Constant(), pictures(1), n=2, m=9, seed=6)[0]["applied"][1:]
    ]


@pytest.mark.parametrize("policy", ["RandAugment", "AutoAugment", "TrivialAugment", "AugMix"])
def test_every_policy_tells_what_it_did_and_in_which_code(policy):
    told = answer(DRAWS, Constant(), pictures(1), policy=policy)
    assert len(told["applied"]) == len(told["tiles"]) == 32
    assert len(set(told["applied"])) > 10
    assert policy in "\n".join(told["code"])
    compile("\n".join(told["code"]), "policy.py", "exec")
    once_more = answer(DRAWS, Constant(), pictures(1), policy=policy)
    assert torch.equal(told["tiles"], once_more["tiles"])


@pytest.mark.parametrize("kind", ["mixup", "CutMix"])
def test_a_mixture_has_its_parts_labels_and_shares(kind):
    images = torch.cat([torch.full((2, 1, 16, 16), 0.1), torch.full((2, 1, 16, 16), 0.9)])
    told = answer(MIX, Brightness(), images, kind=kind, seed=1)
    assert told["mixture"].shape == (12, 1, 16, 16)
    for picture, said, first, second in zip(told["mixture"], told["label"], told["first"], told["second"], strict=True):
        (share, one), (rest, two) = (part.split("% ") for part in said.split(", "))
        assert int(share) + int(rest) in (99, 100, 101)
        level = {"dark": 0.1, "light": 0.9}
        expected = (int(share) * level[one] + int(rest) * level[two]) / 100
        assert picture.mean().item() == pytest.approx(expected, abs=0.01)
        chance = dict(zip(("dark", "light"), Brightness()(picture[None]).softmax(1)[0].tolist(), strict=True))
        assert (first.item(), second.item()) == pytest.approx((chance[one], chance[two]))
