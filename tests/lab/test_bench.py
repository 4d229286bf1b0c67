"""The lens bench with two shipped networks, and the small sweep of the augmentation studio. No browser."""

import pytest
import torch
from app_pages import opened, text
from patience_runs import home  # noqa: F401 - a fixture

from engine.catalog import method
from lab import api, warm
from lab.checkpoints import open_model
from lab.looking import Looker
from lab.parts import bench, grid_search
from lab.runs.sweep import Sweep, all_sweeps

A, B = "uncertainty.mc_dropout", "augmentation.randaugment"
_lookers: dict[str, Looker] = {}


@pytest.fixture(autouse=True)
def at_home(home):  # noqa: F811
    return home


@pytest.fixture(scope="module", autouse=True)
def warmed():
    warm._importing().result()


@pytest.fixture
def ready(monkeypatch):
    def looker(target, stamp=""):
        if target not in _lookers:
            _lookers[target] = Looker(open_model(target))
        return _lookers[target]

    monkeypatch.setattr(warm, "ready", looker)
    monkeypatch.setattr(warm, "looker", looker)
    return looker


@pytest.fixture
def asked(monkeypatch):
    seen = []

    def answers(asks, names, start, pick, **more):
        seen.append({"asks": asks, "names": names, "start": start, "pick": pick, **more})
        return start.model_dump(mode="json"), 0

    monkeypatch.setattr(bench, "answers", answers)
    return seen


def test_two_networks_are_asked_the_same(ready, asked):
    app = opened("bench")
    assert [title.value for title in app.title] == ["Lens bench"]
    assert not app.error
    (told,) = asked
    assert [ask["target"] for ask in told["asks"]] == [A, B]
    one, two = (api.brought(ask["images"]) for ask in told["asks"])
    assert torch.equal(one, two)
    assert told["comparable"]
    assert told["names"] == ["Monte-Carlo dropout · the shipped demo", "RandAugment · the shipped demo"]


def test_the_address_says_which_networks_which_picture_and_which_knobs(ready, asked):
    opened("bench", a="imagenet:squeezenet", b=A, picture="2", **{"at-a-glance.m": "22"})
    told = asked[-1]
    assert [ask["target"] for ask in told["asks"]] == ["imagenet:squeezenet", A]
    assert not told["comparable"]
    assert told["start"].m == 22
    assert told["pick"]["at"] == 2
    large, small = (api.brought(ask["images"]) for ask in told["asks"])
    assert (large.shape[1:], small.shape[1:]) == ((3, 128, 128), (1, 28, 28)), "the same pictures, fitted to each"
    grey = large.mean(dim=(1, 2, 3))
    assert (small.mean(dim=(1, 2, 3)) - grey).abs().max() < 0.1


def test_what_is_no_classifier_is_refused_by_name(ready, asked):
    app = opened("bench", b="representation.mae")
    assert app.error[0].value == (
        "B: representation.mae does not answer a picture with classes; choose a classifier."
    )  # fmt: skip
    assert not asked


def test_what_cannot_be_opened_says_why(monkeypatch):
    def broken(target):
        raise ValueError(f"{target!r} is no run, no checkpoint file and no method")

    monkeypatch.setattr(warm, "ready", broken)
    assert opened("bench", a="nothing.pt").error[0].value.startswith("A: 'nothing.pt' is no run")


def test_the_map_that_ships_is_there_at_once_with_the_best_m_by_size():
    app = opened("augment", part="Which N and M?")
    assert [one.value for one in app.subheader] == ["The best M by size"]
    assert "one run a cell" in text(app)
    assert "A wider network bears a larger M in" in text(app)
    table = app.dataframe[0].value
    assert list(table["width"])[:2] == [8, 24]
    assert "Start the small sweep" in [button.label for button in app.button]


def test_the_button_starts_the_small_sweep_and_shows_it(monkeypatch):
    made = []
    monkeypatch.setattr(Sweep, "resume_apart", lambda self: made.append(self.id))
    app = opened("augment", part="Which N and M?")
    next(button for button in app.button if button.label == "Start the small sweep").click().run()
    assert not app.exception
    (sweep,) = all_sweeps()
    assert made == [sweep.id]
    ready = next(one for one in method(grid_search.ID).sweeps if one.name == grid_search.SMALL)
    assert {name: tuple(values) for name, values in sweep.plan.grid.items()} == dict(ready.grid)
    assert sweep.plan.values["steps"] == 300
    assert app.selectbox(key="nm").value == sweep.id
    assert "0 of 32 runs done" in text(app)


def test_a_refusal_is_said(monkeypatch):
    def full(self):
        raise ValueError("the disk is full")

    monkeypatch.setattr(Sweep, "resume_apart", full)
    app = opened("augment", part="Which N and M?")
    next(button for button in app.button if button.label == "Start the small sweep").click().run()
    assert [one.value for one in app.error] == ["the disk is full."]
