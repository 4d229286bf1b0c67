"""The probe of an embedding: it looks, and the run goes on as if nobody had."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from engine import catalog, probe
from engine.bench import Bench, Setup
from engine.data.base import Batch, Facts, Memory
from engine.folder import plan_run, wish
from engine.probe import MOST, WIDTH, Probe, narrow, scattered, spread_first, thumbnails, undisturbed
from engine.record import checkpoints, probes, read_values, rows
from engine.run import run

EMBEDDERS = [id for id in catalog.ids() if catalog.method(id).embed]
SETS = {}


def carried_out(folder, id, setup=None, watch=None, **knobs):
    method = catalog.method(id)
    plan_run(folder, id, method.params.make(knobs, "tiny"), Setup.make({"device": "cpu"} | (setup or {}), "tiny"))
    return run(folder, watch)


def numbers(folder):
    return [{name: value for name, value in row.items() if name != "time"} for row in rows(folder)]


def weights(folder):
    return read_values(checkpoints(folder)[-1][1])[0]


@pytest.mark.parametrize("id", EMBEDDERS)
def test_a_method_embeds_images_as_rows_and_a_probed_run_is_bit_equal(id, tmp_path, monkeypatch):
    assert carried_out(tmp_path / "probed", id) == "done"
    monkeypatch.setattr(Probe, "look", lambda self, step: None)
    assert carried_out(tmp_path / "plain", id) == "done"
    assert numbers(tmp_path / "probed") == numbers(tmp_path / "plain")
    one, two = weights(tmp_path / "probed"), weights(tmp_path / "plain")
    assert all(np.array_equal(one[name], two[name]) for name in one if name.startswith("model/"))
    assert probes(tmp_path / "plain") == []
    (step, path), *_ = probes(tmp_path / "probed")
    features = read_values(path)[0]["features"]
    assert features.dtype == np.float16
    assert features.ndim == 2
    assert 0 < features.shape[1] <= WIDTH
    assert np.isfinite(features).all()
    assert step > 0


def test_a_paused_and_probed_run_goes_on_as_the_whole_one(tmp_path):
    id = "fewshot.prototypical"

    def pause(step, _report):
        if step == 3:
            wish(tmp_path / "two", "pause")

    assert carried_out(tmp_path / "one", id, {"looks": 6}, steps=6) == "done"
    assert carried_out(tmp_path / "two", id, {"looks": 6}, pause, steps=6) == "paused"
    (tmp_path / "two" / "probe" / "00000005.safetensors").write_bytes(b"of a run that was killed later")
    assert run(tmp_path / "two") == "done"
    assert numbers(tmp_path / "one") == numbers(tmp_path / "two")
    for (step, one), (other, two) in zip(probes(tmp_path / "one"), probes(tmp_path / "two"), strict=True):
        assert step == other
        found = [read_values(path)[0]["features"] for path in (one, two)]
        both = min(map(len, found))
        assert np.array_equal(found[0][:both], found[1][:both])


def test_modes_and_random_states_are_afterwards_as_before():
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2)))
    model.train()
    model[1][0].eval()
    before = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    with undisturbed(model):
        assert not any(module.training for module in model.modules())
        assert not torch.is_grad_enabled()
        torch.rand(3)
    assert [module.training for module in model.modules()] == before
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.is_grad_enabled()


class Clock:
    """Time that passes only when told."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(probe, "time", clock)
    return clock


class Plain:
    data = "grey"
    batch = 50


@pytest.fixture
def looking(tmp_path, clock):
    """A probe of 400 images whose chunks of 50 take as long as one says."""
    images = torch.arange(400, dtype=torch.uint8).reshape(400, 1, 1, 1).expand(400, 1, 2, 2)
    data = Memory(Batch(images, torch.arange(400), torch.arange(400) % 4), Facts(1, 2, ("a", "b", "c", "d")))
    costs = {"chunk": 0.0}

    def embed(model, images):
        clock.now += costs["chunk"]
        return images.flatten(1)

    method = type("Method", (), {"embed": staticmethod(embed)})
    bench = Bench(Setup(device="cpu"), sets={("grey", "test", None): data})
    return Probe(tmp_path, method, nn.Identity(), Plain(), bench), costs


def notes(folder):
    return {step: read_values(path)[1] for step, path in probes(folder)}


def test_all_images_are_embedded_when_there_is_time(looking, clock, tmp_path):
    found, costs = looking
    costs["chunk"] = 0.01
    clock.now += 60
    found.look(7)
    assert notes(tmp_path) == {7: {"images": 400, "of": 400, "seconds": 0.08}}
    pinned = read_values(tmp_path / "probe" / "points.safetensors")[0]
    assert pinned["classes"] == ["a", "b", "c", "d"]
    assert sorted(pinned["thumbnails"][:, 0, 0, 0].tolist()) == sorted(i % 256 for i in range(400))
    assert (pinned["thumbnails"][:, 0, 0, 0] % 4 == pinned["labels"]).all(), "a label goes with its picture"
    features = read_values(tmp_path / "probe" / "00000007.safetensors")[0]["features"]
    np.testing.assert_allclose(features[:, 0] * 255, pinned["thumbnails"][:, 0, 0, 0], atol=0.2)


def test_probes_take_a_tenth_of_the_time_and_say_what_they_left_out(looking, clock, tmp_path):
    found, costs = looking
    costs["chunk"], began = 0.5, clock.now
    for step in range(1, 41):
        clock.now += 10
        found.look(step)
    spent = sum(note["seconds"] for note in notes(tmp_path).values())
    assert spent <= 0.1 * (clock.now - began) + 1
    assert spent > 0.07 * (clock.now - began)
    assert {note["of"] for note in notes(tmp_path).values()} == {400}
    assert 50 <= min(note["images"] for note in notes(tmp_path).values()) < 400
    costs["chunk"] = 50.0
    for step in range(41, 51):
        clock.now += 1
        found.look(step)
    assert notes(tmp_path)[50]["images"] == 0, "a chunk would take too long"


def test_a_step_that_is_told_twice_is_probed_once(looking, clock, tmp_path):
    found, costs = looking
    found.look(3)
    costs["chunk"] = 100.0
    found.look(3)
    assert notes(tmp_path)[3]["images"] == 400


def test_what_more_probes_will_take_is_told_from_those_that_were_and_nothing_need_be_stored(
    looking, clock, tmp_path, monkeypatch
):
    found, costs = looking
    assert found.forecast(100.0, 16) == 0
    monkeypatch.setattr(found, "_folder", None)
    costs["chunk"] = 0.01
    for step in (1, 2):
        clock.now += 60
        found.look(step)
    assert found.forecast(100.0, 16) == pytest.approx(16 * 8 * 0.01)
    assert found.forecast(1.0, 1000) == pytest.approx(0.1 * 1.0 + 1.0), "they never take more than their share"
    assert probes(tmp_path) == []
    assert not (tmp_path / "probe").exists()


def test_data_without_test_images_are_said_in_the_log_and_not_probed(looking, tmp_path, capsys, monkeypatch):
    found, _ = looking
    monkeypatch.setattr(Plain, "data", "nowhere")
    found.look(1)
    found.look(2)
    assert "embedding is not probed: data: there is no source 'nowhere'" in capsys.readouterr().out
    assert probes(tmp_path) == []


@pytest.mark.parametrize("count", [1, 2, 7, 64, 1000])
def test_any_first_images_are_evenly_spread(count):
    order = scattered(count).tolist()
    assert sorted(order) == list(range(count))
    for first in (2, 4, 16, 64):
        if first <= count:
            gaps = [b - a for a, b in itertools.pairwise([*sorted(order[:first]), count])]
            assert max(gaps) <= 2 * -(-count // first)


def test_at_most_so_many_images_are_pinned():
    images = torch.zeros(2 * MOST, 1, 1, 1, dtype=torch.uint8)
    whole = Memory(Batch(images, torch.arange(2 * MOST)), Facts(1, 1))
    assert len(spread_first(whole)) == MOST


def test_wide_features_keep_their_distances_and_narrow_ones_stay():
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(60, 2000, generator=draw)
    assert torch.equal(narrow(features), narrow(features.clone()))
    assert narrow(features).shape == (60, WIDTH)
    share = (torch.pdist(narrow(features)) / torch.pdist(features)).square()
    assert share.mean().item() == pytest.approx(1, abs=0.05)
    assert torch.equal(narrow(features[:, :WIDTH]), features[:, :WIDTH])


def test_thumbnails_are_means_of_their_squares():
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    small = thumbnails(images)
    assert small.shape == (3, 3, 32, 32)
    mean = images.float().unflatten(3, (32, 2)).unflatten(2, (32, 2)).mean((3, 5))
    assert (small.float() - mean).abs().max() <= 0.5
    assert torch.equal(thumbnails(images[..., :28, :28]), images[..., :28, :28])
