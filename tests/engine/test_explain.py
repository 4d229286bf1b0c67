"""Why a run ended and what would cure it, through whole runs of a toy that is made to break."""

from dataclasses import replace

import pytest
import torch
from patience_runs import home  # noqa: F401 - a fixture
from torch import nn

from engine import catalog
from engine.bench import Setup
from engine.data.paths import nearest
from engine.explain import a_third, explain, missing_data, not_finite
from engine.folder import Plan, plan_run, read_state
from engine.memory import Use
from engine.run import run


@pytest.fixture
def broken(home, tmp_path, monkeypatch):  # noqa: F811
    """broken(train, build=None, **knobs): what is told of a run of toy.patience with this training."""

    def carry_out(train, build=None, **knobs):
        toy = catalog.method("toy.patience")
        plan_run(tmp_path / "run", "toy.patience", toy.params.make(knobs), Setup(device="cpu"))
        changed = replace(toy, train=train, build=build or toy.build)
        monkeypatch.setattr(catalog, "method", lambda id: changed)
        assert run(tmp_path / "run") == "failed"
        return read_state(tmp_path / "run")

    return carry_out


def test_out_of_memory_at_a_step_ends_with_the_batch_to_take(broken):
    def train(model, params, bench):
        for step in bench.steps(params.steps):
            if step == 3:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total")
            yield {"loss": 1.0}

    told = broken(train, batch=64, steps=10)
    assert told["cause"].startswith("OutOfMemoryError: CUDA out of memory")
    assert told["hint"].startswith("Not enough memory: batch 64 needs more than ")
    assert 1 <= told["instead"]["batch"] <= 32
    assert told["fixed_mb"] > 0


def test_before_the_model_is_built_no_batch_is_suggested(broken):
    def build(params, facts):
        raise MemoryError

    told = broken(None, build)
    assert (told["hint"], told["instead"]) == ("Not enough memory: lower batch or size.", {})


class Two(nn.Module):
    def __init__(self, params, facts):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2)


def test_the_layer_that_broke_is_named_in_the_order_of_modules(broken):
    def train(model, params, bench):
        for step in bench.steps(params.steps):
            if step == 4:
                model.second.weight.data[0, 0] = float("inf")
            yield {"loss": model.second.weight.sum().detach()}

    told = broken(train, Two, steps=10, lr=0.03)
    assert told["cause"] == "loss became inf at step 5"
    assert told["hint"] == (
        "In step 5 the optimiser made second.weight not finite; outputs and gradients before it were finite. "
        "Lower the learning rate."
    )
    assert told["instead"] == {"lr": 0.01}


def test_gradients_are_named_when_all_weights_are_finite():
    model = Two(None, None)
    assert not_finite(model) == ""
    for each in model.parameters():
        each.grad = torch.zeros_like(each)
    model.third.bias.grad[0] = float("nan")
    assert not_finite(model) == "The first gradients that are not finite: third.bias (1 of 6 are not)."
    for each in model.parameters():
        each.data.fill_(float("nan"))
    assert not_finite(model) == "The first weights that are not finite: first.weight (all of 6 are not)."


def test_a_run_whose_folder_is_gone_says_which_one_is_there(home, tmp_path):  # noqa: F811
    (tmp_path / "flowers" / "train").mkdir(parents=True)
    gone = tmp_path / "flwers" / "train"
    params = catalog.method("toy.patience").params.make({"data": f"folder:{gone}"})
    plan_run(tmp_path / "run", "toy.patience", params, Setup(device="cpu"))
    assert run(tmp_path / "run") == "failed"
    told, there = read_state(tmp_path / "run"), f"folder:{tmp_path / 'flowers' / 'train'}"
    assert f"{gone} does not exist" in told["cause"]
    assert told["hint"] == f"{gone} is missing; {there.partition(':')[2]} is there: write data {there}."
    assert told["instead"] == {"data": there}


def test_only_what_is_missing_is_called_so(tmp_path):
    assert missing_data("garments") == missing_data("torchvision:CIFAR10") == missing_data(f"folder:{tmp_path}")
    assert missing_data(f"folder:{tmp_path}/x") == (f"Put the files back to {tmp_path}/x, or choose other data.", {})
    assert nearest(tmp_path) == tmp_path


def test_the_numbers_of_memory_reach_the_sentence():
    told = explain(RuntimeError("CUDA out of memory."), {"batch": 8}, Use(9 << 30, 1 << 30, 8 << 30))
    assert told.instead == {"batch": 4}
    assert "needs more than 9,216 MB of 8,192 MB" in told.hint


@pytest.mark.parametrize(("value", "third"), [(0.03, 0.01), (0.1, 0.03), (1e-4, 3e-5), (3.0, 1.0)])
def test_a_third_has_one_digit(value, third):
    assert a_third(value) == third


def test_plans_of_before_have_no_origin(tmp_path):
    (tmp_path / "run.json").write_text('{"method": "a", "values": {}, "setup": {}, "created": 1.0}')
    assert Plan.read(tmp_path) == Plan("a", {}, {}, 1.0, "", cloned_from="")
    (tmp_path / "run.json").write_text('{"method": "a", "values": {}}')
    with pytest.raises(ValueError, match="is damaged"):
        Plan.read(tmp_path)
