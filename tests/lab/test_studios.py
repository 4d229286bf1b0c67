"""Every studio opens on stored answers, goes live through what was chosen, and says what does not fit. No browser."""

import base64
import io
import json

import anyio
import numpy as np
import pytest
import torch
from app_pages import opened, text
from patience_runs import home  # noqa: F401 - a fixture
from PIL import Image
from starlette.requests import ClientDisconnect

from engine.bench import Setup
from engine.catalog import method
from engine.lenses import CLASSIFIER
from engine.method import Boxes, Masks, Overlay, Pictures
from engine.run import run as carry_out
from lab import api, studio, warm
from lab.checkpoints import open_model
from lab.figures import draw, portable, tiles
from lab.following import Following
from lab.looking import Looker
from lab.parts.play import common_ends
from lab.pictures import COLOURS, rgb
from lab.runs.run import plan

RNG = np.random.default_rng(0)
STUDIOS = {
    "augment": ("Augmentation", "imagenet:lite0"),
    "masked": ("Masked pictures", "representation.mae.objects"),
    "style": ("Style", "generation.style_transfer"),
    "uncertainty": ("Uncertainty", "uncertainty.mc_dropout.scenes"),
    "views": ("Views", "imagenet:lite0"),
}
ALL = pytest.mark.parametrize("page", STUDIOS)


@pytest.fixture(autouse=True)
def at_home(home):  # noqa: F811
    return home


@pytest.fixture(scope="module", autouse=True)
def warmed():
    warm._importing().result()


@ALL
def test_it_opens_on_a_stored_answer_before_any_model_is_open(page, monkeypatch):
    monkeypatch.setattr(warm, "ready", lambda target: None)
    app = opened(page)
    assert [title.value for title in app.title] == [STUDIOS[page][0]]
    assert "stored answer" in text(app)
    assert "Not shown" not in text(app)


@ALL
def test_each_of_its_lenses_answers_through_each_of_its_models(page, monkeypatch):
    offered = {}
    monkeypatch.setattr(studio, "through", lambda *_: None)
    monkeypatch.setattr(studio, "lenses_for", lambda model, models, others: offered.update(models) or ["one"])
    opened(page)
    assert next(iter(offered)) == STUDIOS[page][1]
    for model, lenses in offered.items():
        looker = Looker(open_model(model))
        images = looker.shipped(2)
        for name in lenses:
            lens = looker.lens(name)
            *_, answer = looker.answers(lens, lens.params.make({}, "tiny"), lens.given(images))
            assert all(one["figures"] for one in portable(lens.exhibits, answer)), (model, name)


def test_sliders_end_where_the_model_and_the_pictures_end():
    looker = Looker(open_model("uncertainty.deep_ensembles"))
    images = api.bring("some", looker.shipped(2))
    lens = looker.lens("Doubt")
    assert common_ends(lens, {"it": looker}, [images]) == {"networks": 5}
    asked = lens.params.make({"networks": 50})
    (all_of_them,) = looker.answers(lens, asked, looker.shipped(2))
    assert all_of_them["counted"] == 5, "beyond the last: all, as the command line may ask"
    other = Looker(open_model("uncertainty.mc_dropout"))
    assert common_ends(lens, {"it": looker, "other": other}, [images, images]) == {"networks": 5}
    masked = Looker(open_model("representation.mae"))
    own = masked.opened.model.params
    ends = common_ends(masked.lens("Attention"), {"it": masked}, [""])
    assert ends == {"block": max(own.depth, own.decoder_depth), "head": max(own.heads, own.decoder_heads)}


def test_a_run_has_the_lenses_of_its_method_and_any_other_those_for_others():
    run = plan("representation.mae", method("representation.mae").params.make({}, "tiny"), Setup())
    models = {"representation.moco": ["a"], "representation.mae": ["b"]}
    assert studio.lenses_for(run.id, models, ["c"]) == ["b"]
    assert studio.lenses_for("representation.moco", models, ["c"]) == ["a"]
    assert studio.lenses_for("timm:resnet18", models, ["c"]) == ["c"]
    assert studio.lenses_for("20200101-000000-abcd", models, ()) == ["a"], "opening it says that it is not there"


def test_a_run_that_is_no_classifier_says_so_and_one_that_is_looks(monkeypatch):
    setup = Setup.make({"device": "cpu"}, "tiny")
    for id in ("representation.mae", "augmentation.randaugment"):
        run = plan(id, method(id).params.make({}, "tiny"), setup)
        assert carry_out(run.folder) == "done"
        looker = Looker(open_model(run))
        monkeypatch.setattr(warm, "ready", lambda target, looker=looker: looker)
        app = opened("augment", model=run.id)
        if id == "representation.mae":
            assert "representation.mae has no lens 'Draws'" in app.error[0].value
        else:
            assert not app.error
            assert "live" in text(app)


@pytest.fixture
def trained(monkeypatch):
    """A masked autoencoder's run with several steps; models are opened at once."""
    run = plan("representation.mae", method("representation.mae").params.make({"data": "photos:crops:64", "size": 32},
               "tiny"), Setup.make({"device": "cpu"}, "tiny"), "colours")  # fmt: skip
    assert carry_out(run.folder) == "done"
    monkeypatch.setattr(warm, "ready", lambda target: Looker(open_model(target)))
    return run


def test_two_models_are_asked_the_same_of_the_same_pictures(trained, monkeypatch):
    asked = []
    monkeypatch.setattr("lab.parts.play.live", lambda asks, *_, **__: asked.append(asks) or ({"ratio": 0.5}, 0))
    app = opened("masked", model="representation.mae", beside=trained.id)
    assert not app.error
    demo, other = asked[-1].items()
    assert demo[0] == "Masked autoencoder · the shipped demo"
    assert other[0] == f"colours · {trained.id}"
    for name in ("lens", "seed", "dark"):
        assert demo[1][name] == other[1][name]
    one, two = (api.brought(ask["images"]) for _, ask in (demo, other))
    assert one.shape == (8, 1, 28, 28)
    assert two.shape == (8, 3, 32, 32)
    assert torch.equal(two[:, 0], two[:, 2]), "the same garments, in grey"
    assert (one.mean(dim=(1, 2, 3)) - two.mean(dim=(1, 2, 3))).abs().max() < 0.01
    codes = "\n".join(one.value for one in app.code)
    assert f"visionarium look representation.mae reconstruct --ratio 0.5 --out reconstruct.png\nvisionarium look "\
        f"{trained.id} reconstruct" in codes  # fmt: skip


def test_a_run_is_opened_at_the_step_that_its_slider_chooses(trained, monkeypatch):
    asked = []
    monkeypatch.setattr("lab.parts.play.live", lambda asks, *_, **__: asked.append(asks) or ({}, 0))
    app = opened("masked", model=trained.id)
    (slider,) = app.select_slider
    assert slider.options == [str(step) for step in trained.openable()]
    assert asked[-1].keys() == {f"colours · {trained.id}"}
    slider.set_value(0).run()
    assert asked[-1].keys() == {f"colours · {trained.id} · step 0"}
    assert next(iter(asked[-1].values()))["target"] == f"{trained.id}@0"


def test_a_model_without_the_lens_is_not_shown_beside_and_the_first_stays(trained, monkeypatch):
    asked = []
    monkeypatch.setattr("lab.parts.play.live", lambda asks, *_, **__: asked.append(asks) or ({}, 0))
    app = opened("masked", beside="imagenet:lite0")
    assert "imagenet:lite0 has no lens 'Reconstruct'" in app.warning[0].value
    assert len(asked[-1]) == 1


def test_a_second_model_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr("lab.parts.play.live", lambda asks, *_, **__: ({}, 0))
    monkeypatch.setattr(warm, "ready", lambda target: Looker(open_model(target)))
    app = opened("masked", beside="nothing.pt")
    assert "'nothing.pt' is no run, no checkpoint file and no method" in app.error[0].value


def test_a_network_by_name_that_is_not_here_says_what_to_do():
    with pytest.raises(ValueError, match="timm has no network called 'resnet1'; the nearest are "):
        open_model("timm:resnet1")
    with pytest.raises(ValueError, match="no network called 'vgg'; choose among"):
        open_model("imagenet:vgg")


def test_a_network_whose_weights_timm_has_fetched_before_opens_without_a_network(tmp_path, monkeypatch):
    import timm
    from huggingface_hub import constants
    from safetensors.torch import save_file

    with pytest.raises(ValueError, match="the weights of resnet10t are not on this machine; get them once"):
        open_model("timm:resnet10t")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    made = timm.create_model("resnet10t")
    repo = tmp_path / f"models--{timm.get_pretrained_cfg('resnet10t').hf_hub_id.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text("abc")
    (repo / "snapshots" / "abc").mkdir(parents=True)
    save_file(made.state_dict(), repo / "snapshots" / "abc" / "model.safetensors")
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_CACHE", str(tmp_path))
    opened = open_model("timm:resnet10t")
    assert torch.equal(opened.model.net.conv1[0].weight, made.conv1[0].weight)
    assert len(opened.facts.classes) == 1000


def test_timms_own_copy_of_a_shipped_network_answers_as_ours():
    one, two = open_model("imagenet:lite0"), open_model("timm:tf_efficientnet_lite0")
    picture = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(one.model(picture), two.model(picture))
    assert one.facts == two.facts
    assert len(one.facts.classes) == 1000


def pixels(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB"))


def test_small_pictures_and_maps_go_to_the_browser_to_the_pixel_and_it_enlarges_them():
    values = {"images": RNG.random((6, 3, 32, 32)), "heat": RNG.random((6, 32, 32)), "labels": np.ones((6, 32, 32)),
              "classes": ["cat"], "found": np.full((6, 1, 6), np.nan)}  # fmt: skip
    exhibits = [Overlay(("images", "heat"), ""), Masks(("images", "labels"), ""), Boxes(("images", "found"), "")]
    heat, masks, boxes = (one["figures"][0]["mosaic"] for one in portable(exhibits, values))
    assert (heat["names"], heat["across"], heat["count"]) == (["images", "heat"], 2, 6)
    assert masks["legend"] == [[COLOURS[0], "cat"]]
    for told in (heat, masks):
        assert np.array_equal(pixels(told["tiles"])[32:64, :32], rgb(values["images"][1]))
        assert told["crisp"]
    assert boxes["names"] == ["found"]
    assert not boxes["crisp"]
    assert pixels(boxes["tiles"]).shape == (6 * boxes["wide"], boxes["wide"], 3), "words need more pixels than that"


@pytest.mark.parametrize(("one", "other", "width"), [(90, 90, 90), (200, 200, 160), (24, 32, 160)])
def test_large_pictures_and_those_of_two_sizes_are_drawn_as_wide_as_they_are_shown(one, other, width):
    values = {"a": np.zeros((6, 3, one, one)), "b": np.zeros((6, 3, other, other))}
    (told,) = portable([Pictures(("a", "b"), "")], values)[0]["figures"]
    assert pixels(told["mosaic"]["tiles"]).shape == (6 * width, 2 * width, 3)
    assert not told["mosaic"]["crisp"]


def test_pictures_with_words_and_bars_go_to_the_browser_as_one_file():
    values = {
        "seen": torch.rand(3, 3, 8, 8).numpy(),
        "said": ["a", "b", "c"],
        "sure": torch.tensor([0.1, 0.5, 1.0]).numpy(),
    }
    exhibit = Pictures(("seen",), "", under=("sure", "said", "later"))
    told = tiles(exhibit, values)
    assert (told["count"], told["ratio"]) == (3, 1)
    assert told["words"] == [["a"], ["b"], ["c"]]
    assert told["bars"] == [{"sure": 0.1}, {"sure": 0.5}, {"sure": 1.0}]
    assert np.array_equal(pixels(told["tiles"])[8:16], rgb(values["seen"][1])), "small ones to the pixel"
    assert pixels(tiles(exhibit, values | {"seen": np.zeros((3, 3, 96, 96))})["tiles"]).shape == (288, 96, 3)
    json.dumps(told)
    (drawn,) = draw(exhibit, values)
    assert drawn.width > 3 * 200


@pytest.fixture
def asked(monkeypatch):
    """A question to the draws' lens through a shipped network, and that network's looker."""
    looker = Looker(open_model("imagenet:squeezenet"))
    monkeypatch.setattr(warm, "looker", lambda target, stamp: looker)
    question = {"target": "imagenet:squeezenet", "lens": CLASSIFIER[0].name, "pick": 1, "knobs": {}, "seed": 0,
                "images": api.bring("two", looker.shipped(2)), "dark": False}  # fmt: skip
    return question, looker


def test_an_answer_comes_in_lines_ever_fuller(asked):
    first, whole = map(json.loads, api.answers(asked[0]))
    bars = [told["exhibits"][0]["figures"][0]["bars"] for told in (first, whole)]
    assert bars[0] == [{}] * 32
    assert all(0 <= bar["still"] <= 1 for bar in bars[1])
    assert first["milliseconds"] <= whole["milliseconds"]


def test_who_hangs_up_frees_the_model(asked):
    question, looker = asked
    lines = api.answers(question)
    next(lines)
    assert looker.lock.locked()
    lines.close()
    assert not looker.lock.locked()


def test_the_script_is_that_of_the_whole_answer(asked):
    (code,) = api.answers(asked[0] | {"script": 0})
    assert "captioned(names, values, ('still', 'applied'))" in code
    compile(code, "figure.py", "exec")


@pytest.mark.parametrize("heard", [0, 1, 2])
def test_who_stops_listening_frees_the_model_however_early(asked, heard):
    question, looker = asked
    lines = api.answers(question)
    response = Following(next(lines), lines)
    sent = []

    async def send(message):
        if len(sent) == heard:
            raise OSError("nobody is there")
        sent.append(message)

    async def receive():
        await anyio.sleep_forever()

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    with pytest.raises(ClientDisconnect):
        anyio.run(response, scope, receive, send)
    assert len(sent) == heard
    assert not looker.lock.locked()
