"""What is found in a view is carried back to where it is, and merged, with models that find exactly what is there."""

import pytest
import torch
from torch import nn

from engine.bench import Bench, Setup
from engine.data.base import Facts
from engine.lenses.moved import PIXELS, boxes_in_views
from engine.lenses.segmenter import Segments, as_segmenter
from engine.metrics.detection import Detections


class Spots(nn.Module):
    """One class: everything brighter than a half is one thing."""

    facts = Facts(1, 40, ("spot",))
    asked = 0


def found_spot(model, images, score, overlap, most):
    model.asked += len(images)
    found = []
    for image in images:
        y, x = (image[0] > 0.5).nonzero(as_tuple=True)
        box = torch.tensor([[x.min(), y.min(), x.max() + 1, y.max() + 1]]).float() if len(x) else torch.zeros(0, 4)
        found.append(Detections(box, torch.full((len(box),), 0.8), torch.zeros(len(box)).long()))
    return found


def spot():
    images = torch.zeros(1, 1, 40, 40)
    images[..., 12:20, 24:30] = 1
    return images


def last(lens, model, images, bench, **knobs):
    *_, told = lens.answers(model, lens.params.make(knobs), images, bench)
    return told


EXACT = ["as it is", "mirrored", "upside down", "half turn", "quarter left", "quarter right", "shift left", "shift up"]


def test_boxes_of_every_exact_view_come_back_to_the_spot_and_merge_into_one():
    lens, model, bench = boxes_in_views(found_spot), Spots(), Bench(Setup(device="cpu"))
    for merge in ("weighted fusion", "NMS"):
        told = last(lens, model, spot(), bench, views=EXACT, merge=merge)
        assert torch.allclose(
            told["carried_back"][:, 0, :4], torch.tensor([24.0, 12.0, 30.0, 20.0]).expand(8, 4), atol=0.01
        )
        (merged,) = told["merged"][0][~told["merged"][0].isnan().any(dim=1)]
        assert merged.tolist() == pytest.approx([24, 12, 30, 20, 0, 0.8], abs=0.01)
        assert told["found_again"] == ["1 of 1"] * 8
    assert model.asked == 8, "the second way of merging is answered from memory"
    assert told["in_the_view"][1, 0, :4].tolist() == [10, 12, 16, 20], "in the mirrored view it is elsewhere"


def test_what_one_view_alone_finds_grows_faint():
    def sees_mirrors(model, images, score, overlap, most):
        return found_spot(model, images if images[0, 0, 15, 12] > 0.5 else 0 * images, score, overlap, most)

    told = last(
        boxes_in_views(sees_mirrors), Spots(), spot(), Bench(Setup(device="cpu")), views=["as it is", "mirrored"]
    )
    assert told["merged"][0, 0].tolist() == pytest.approx([24, 12, 30, 20, 0, 0.4])
    assert told["boxes"].tolist() == [0, 1]


class Bright(nn.Module):
    """Of each pixel: class 1 the more, the brighter it is."""

    classes = ("background", "bright")

    def forward(self, images):
        score = 20 * (images.mean(dim=1) - 0.5)
        return torch.stack([-score, score], dim=1)


def test_pixels_come_back_and_merge_into_the_picture_as_it_is():
    model, bench = Segments(Bright(), Bright.classes), Bench(Setup(device="cpu"))
    told = last(PIXELS, model, spot(), bench, views=EXACT)
    truth = (spot()[:, 0] > 0.5).long()
    assert torch.equal(told["as_it_is"], truth)
    assert torch.equal(told["merged"], truth)
    assert told["disagree"].max() == 0
    assert torch.allclose(told["as_merged"], torch.ones(8))
    void = told["carried_back"] == 255
    assert not void[:6].any()
    assert void[6, :, :3].all(), "what was shifted out on the left is not shown"
    assert not void[6, :, 3:].any()
    assert torch.equal(told["carried_back"][5], truth[0])


def test_the_mean_is_over_the_views_that_show_a_pixel():
    class Guess(nn.Module):
        """Says bright everywhere, or nowhere if the top left pixel is bright."""

        def forward(self, images):
            score = torch.where(images[:, :, :1, :1] > 0.5, -1.0, 3.0).expand(-1, 1, 40, 40)[:, 0]
            return torch.stack([-score, score], dim=1)

    images = torch.zeros(1, 1, 40, 40)
    images[..., 0, 39] = 1
    told = last(
        PIXELS, Segments(Guess(), Bright.classes), images, Bench(Setup(device="cpu")), views=["mirrored", "shift left"]
    )
    assert told["merged"][0, :, :3].eq(0).all(), "only the mirrored view shows these columns"
    assert told["merged"][0, :, 3:].eq(1).all(), "two views, one of them surer"
    assert told["disagree"][0, :, 3:].eq(0.5).all()


def test_what_is_no_segmenter_is_told_apart():
    facts = Facts(1, 40, ("bright",))
    assert as_segmenter(Bright(), facts).classes == ("background", "bright")
    assert as_segmenter(Spots(), facts) is None
    strange = Bright()
    strange.classes = ("a", "b", "c")
    assert as_segmenter(strange, facts) is None
