"""Deep ensembles: each member is what it would be alone, and the mean keeps the promises that can be proved."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import LambdaLR

from engine.bench import Bench, Setup
from engine.data.base import Facts
from engine.data.draws import Draws
from engine.data.subset import spread
from engine.method import KnobError, drive
from engine.methods.uncertainty import deep_ensembles
from engine.methods.uncertainty.deep_ensembles import (
    METHOD,
    DeepEnsemble,
    DeepEnsemblesParams,
    losses,
    scores,
)
from engine.metrics.calibration import negative_log_likelihood as nll
from engine.metrics.doubts import doubts
from engine.metrics.ensemble import growing, two
from engine.ops.schedule import cosine


def small(**knobs):
    torch.manual_seed(0)
    params = DeepEnsemblesParams.make({"width": 4, "hidden": 16, "members": 3, **knobs})
    return DeepEnsemble(params, Facts(1, 12, ("a", "b", "c"))).eval()


def images(*shape):
    return torch.rand(*shape or (6,), 1, 12, 12, generator=torch.Generator().manual_seed(0))


def told(pictures=7, members=4, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(pictures, members, classes, generator=generator)).softmax(dim=2)


def test_members_are_those_that_would_be_trained_one_by_one():
    p = DeepEnsemblesParams.make({"steps": 6, "members": 3, "batch": 8, "width": 2, "hidden": 8, "labelled": 40,
                                  "asked": 20})  # fmt: skip
    bench = Bench(Setup.make({"device": "cpu", "seed": 5, "looks": 1}))
    model = METHOD.build(p, bench.facts(p))
    alone = [model.nets.member(m).train() for m in range(3)]
    for _ in drive(METHOD, model, p, bench):
        pass
    data = spread(bench.data(p.data), p.labelled)
    for member, net in enumerate(alone):
        optimizer = torch.optim.AdamW(net.parameters(), p.lr, weight_decay=p.weight_decay)
        schedule = LambdaLR(optimizer, lambda step: cosine(step, p.steps, warmup=p.steps // 20, start=0.1))
        for index in Draws(len(data), p.batch, p.steps, 5, member):
            batch = data.batch(index).to("cpu")
            optimizer.zero_grad()
            F.cross_entropy(net(batch.images), batch.labels).backward()
            optimizer.step()
            schedule.step()
        asked = data.batch(torch.arange(20)).to("cpu").images
        torch.testing.assert_close(
            model.ask(asked)[:, member], net.eval()(asked).softmax(1).detach(), atol=1e-4, rtol=1e-3
        )


def test_members_start_apart_and_see_their_pictures_in_orders_of_their_own():
    first, second = (list(small().nets.member(m).parameters()) for m in (0, 1))
    assert not any(torch.equal(a, b) for a, b in zip(first, second, strict=True) if a.ndim > 1)
    orders = [Draws(100, 10, 5, 0, member)[0].tolist() for member in range(3)]
    assert all(a != b for a, b in itertools.combinations(orders, 2))


def test_the_adversarial_loss_is_that_of_a_step_along_the_sign_of_the_gradient():
    model, labels = small(epsilon=0.05), torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0], [1, 0, 0, 2]])
    pictures = images(3, 4)
    found = losses(model.nets, pictures, labels, model.params)
    for member in range(3):
        net, own = model.nets.member(member).eval(), pictures[member].clone().requires_grad_()
        loss = F.cross_entropy(net(own), labels[member])
        (slope,) = torch.autograd.grad(loss, own)
        attacked = F.cross_entropy(net(own + 0.05 * slope.sign()), labels[member])
        assert attacked > loss
        assert found[member].item() == pytest.approx((loss + attacked).item(), rel=1e-5)
    plain = losses(model.nets, pictures, labels, model.params.model_copy(update={"epsilon": 0.0}))
    assert (plain < found).all()


@pytest.mark.parametrize("rule", ["cross-entropy", "brier"])
def test_scores_are_proper(rule):
    """On average over answers drawn from p, no other probabilities score better than p."""
    p = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)

    def expected(told):
        return (p * scores(told.log().expand(3, 3), torch.arange(3), rule)).sum()

    others = torch.randn(200, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).softmax(1)
    assert all(expected(other) > expected(p) for other in others)


def test_scores_are_their_definitions():
    logits, labels = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0)), torch.arange(10).view(2, 5) % 4
    p = logits.softmax(-1)
    for m, b in itertools.product(range(2), range(5)):
        true = labels[m, b]
        assert scores(logits, labels, "cross-entropy")[m, b].item() == pytest.approx(-p[m, b, true].log().item())
        square = sum((p[m, b, c] - (1.0 if c == true else 0.0)) ** 2 for c in range(4)).item()
        assert scores(logits, labels, "brier")[m, b].item() == pytest.approx(square, rel=1e-5)


def test_the_mean_is_never_worse_than_the_members_on_average():
    """Jensen's inequality: whatever the members say, -log of their mean is at most the mean of their -log."""
    for seed in range(20):
        given, truth = told(seed=seed), torch.arange(7) % 3
        grown = growing(given, truth, told(5, seed=seed + 100))["NLL"]
        alone = torch.stack([nll(each, truth) for each in given.unbind(1)])
        assert grown[0].item() == pytest.approx(alone.mean().item())
        assert (grown.diff() <= 1e-9).all()
        assert grown[-1].item() == pytest.approx(nll(given.mean(1), truth).item())


def test_each_size_averages_over_the_ring():
    given, truth = told(members=3), torch.arange(7) % 3
    pairs = [given[:, [a, b]].mean(1) for a, b in ((0, 1), (1, 2), (2, 0))]
    found = growing(given, truth, told(5, 3))
    assert found["accuracy"][1].item() == pytest.approx(
        sum((pair.argmax(1) == truth).float().mean().item() for pair in pairs) / 3
    )
    assert all(value.shape == (3,) for value in found.values())


def test_a_single_network_agrees_with_itself():
    model = small(members=1)
    alone = model.ask(images())
    torch.testing.assert_close(model(images()).exp(), alone[:, 0])
    assert doubts(two(alone))["epistemic"].max() < 1e-6
    twins = told(members=1).expand(-1, 4, -1)
    assert doubts(twins)["epistemic"].max() < 1e-6


def test_passes_of_one_network_are_dropout_by_seed():
    model = small(members=1, dropout=0.5, passes=5)
    first = model.ask(images(), seed=1)
    assert first.shape == (6, 5, 3)
    assert torch.equal(first, model.ask(images(), seed=1))
    assert not torch.equal(first, model.ask(images(), seed=2))
    assert not torch.equal(first[:, 0], first[:, 1])
    assert not any(module.training for module in model.modules())


def test_portions_change_nothing(monkeypatch):
    model = small()
    whole = model.ask(images())
    monkeypatch.setattr(deep_ensembles, "PORTION", 4)
    torch.testing.assert_close(model.ask(images()), whole)


def answer(name, model, pictures=None, **knobs):
    lens = next(lens for lens in METHOD.lenses if lens.name == name)
    return list(lens.answers(model, lens.params.make(knobs, "tiny"), pictures, Bench(Setup(device="cpu"))))[-1]


def test_the_toy_is_unsure_where_it_learned_nothing():
    found = answer("A number", small(), members=5, steps=1000)
    x, doubt = found["deviation among the means"].T
    assert doubt[x.abs() > 5.5].mean() > 2 * doubt[x.abs() < 3].mean()
    whole, one = found["all: mean"][:, 1], found["truth"][:, 1]
    inner = x.abs() < 3.5
    assert (whole - one)[inner].abs().mean() < 6  # the noise has a deviation of 3
    again = answer("A number", small(), members=5, steps=1000)
    assert torch.equal(found["all: mean"], again["all: mean"])


def test_no_networks_and_no_classes_are_refused():
    with pytest.raises(KnobError, match="members"):
        DeepEnsemblesParams.make({"members": 0})
    with pytest.raises(ValueError, match="fewer than two classes; choose a labelled source"):
        DeepEnsemble(DeepEnsemblesParams.make({"data": "photos"}), Facts(3, 28))
