"""Where a training broke, on networks that are made to break in a known place."""

from dataclasses import replace

import pytest
import torch
from patience_runs import home  # noqa: F401 - a fixture
from torch import nn

from engine import catalog
from engine.bench import Bench, Setup
from engine.checkpoint import Checkpoint
from engine.folder import plan_run, read_state
from engine.method import drive
from engine.replay import origin, watched
from engine.run import run

CPU = Setup(device="cpu")
BREAKS = 5


class Breaking(nn.Module):
    """Two layers whose signs are such that a square root in between can be made to fail at a step."""

    def __init__(self, params, facts):
        super().__init__()
        self.first, self.act, self.second = nn.Linear(2, 3), nn.Softplus(), nn.Linear(3, 1)
        self.inside, self.outside, self.loss, self.slope, self.rate = [False] * 5
        self.act.register_forward_hook(lambda *_: torch.full((4, 3), float("nan")) if self.inside else None)

    def forward(self, x):
        hidden = self.act(self.first(x))
        if self.slope:
            hidden = hidden * (hidden - hidden).abs().sqrt().detach() + (hidden - hidden).pow(2).sum().sqrt()
        if self.outside:
            hidden = (hidden - 1e3).log()
        return self.second(hidden)


def train(where):
    """A training whose step BREAKS goes wrong: "inside", "outside", "loss", "slope" or "rate"."""

    def steps(model, params, bench):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for step in bench.steps(params.steps, keep=optimizer):
            now = step + 1 == BREAKS
            for name in ("inside", "outside", "slope"):
                setattr(model, name, now and where == name)
            optimizer.param_groups[0]["lr"] = 3e38 if now and where == "rate" else 1e-6
            error = 1e4 * (model(torch.rand(4, 2) + 0.1) ** 2).mean()
            loss = error - error.detach() + (torch.zeros(()).log() if now and where == "loss" else error.detach())
            bench.step(optimizer, loss)
            yield {"loss": loss.detach()}

    return steps


SAYS = {
    "inside": "In step 5 act gave the first output that is not finite, of inputs up to ",
    "outside": "In step 5 what goes into second was the first that is not finite: it arose before",
    "loss": "In step 5 the loss itself broke: every layer's output before it was finite.",
    "slope": "In step 5 the gradient of first.",
    "rate": "In step 5 the optimiser made first.weight not finite; outputs and gradients before it were finite.",
}


@pytest.fixture
def toy(home):  # noqa: F811
    return lambda where: replace(catalog.method("toy.patience"), build=Breaking, train=train(where))


@pytest.mark.parametrize("where", SAYS)
@pytest.mark.parametrize("from_step", [0, 3])
def test_the_place_is_named_from_the_start_and_from_a_checkpoint(toy, where, from_step):
    method = toy(where)
    params = method.params.make({"steps": 10})
    bench = Bench(CPU)
    model = method.build(params, bench.facts(params))
    resume = None
    for report in drive(method, model, params, bench):
        if bench.done == from_step:
            weights = {name: weight.clone() for name, weight in model.state_dict().items()}
            resume = Checkpoint("toy.patience", {}, bench.facts(params), bench.done, weights, bench.state())
        if not torch.isfinite(report["loss"]):
            break
    assert bench.done == (BREAKS if where in ("inside", "outside", "loss") else BREAKS + 1)
    assert origin(method, params, CPU, resume, bench.done).startswith(SAYS[where])


def test_a_run_that_broke_tells_where_and_keeps_a_sound_checkpoint(toy, tmp_path, monkeypatch, capfd):
    method = toy("rate")
    plan_run(tmp_path / "run", "toy.patience", method.params.make({"steps": 10, "lr": 0.03}), CPU)
    monkeypatch.setattr(catalog, "method", lambda id: method)
    assert run(tmp_path / "run") == "failed"
    told = read_state(tmp_path / "run")
    assert told["cause"] == "loss became nan at step 6"
    assert told["hint"] == f"{SAYS['rate']} Lower the learning rate."
    assert told["instead"] == {"lr": 0.01}
    assert "doing steps 1 to 6 again" in capfd.readouterr().out


def test_weights_that_are_not_finite_are_never_kept(toy, tmp_path, monkeypatch):
    method = toy("rate")
    plan_run(tmp_path / "run", "toy.patience", method.params.make({"steps": BREAKS}), CPU)
    monkeypatch.setattr(catalog, "method", lambda id: method)
    assert run(tmp_path / "run") == "failed"
    told = read_state(tmp_path / "run")
    assert told["cause"] == "first.weight is not finite after step 5"
    assert told["hint"].startswith(SAYS["rate"])
    assert list((tmp_path / "run" / "checkpoints").iterdir()) == []


def test_nothing_is_said_when_all_is_finite_or_time_is_up(toy):
    params = toy("none").params.make({"steps": 10})
    assert origin(toy("none"), params, CPU, None, 10) == ""
    assert origin(toy("inside"), params, CPU, None, BREAKS, limit=0) == ""


def test_the_watch_leaves_no_hook_behind(toy):
    model = nn.Sequential(nn.Linear(2, 2))
    with watched(model, lambda: True, lambda what: None):
        assert model[0]._forward_hooks
    assert not model[0]._forward_hooks
    assert not model[0].weight._post_accumulate_grad_hooks
