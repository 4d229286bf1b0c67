"""Two ranks of gloo against one process with the joint batch: losses, codes, queues, gradients, whole trainings."""

import copy

import pytest
import torch
import torch.nn.functional as F
from side_by_side import on_ranks
from torch import nn

from engine.bench import Bench, Setup
from engine.catalog import method
from engine.data.base import Batch, Facts, Memory
from engine.data.draws import Draws
from engine.losses.contrastive import info_nce, nt_xent
from engine.losses.swapped import swapped_prediction
from engine.method import drive
from engine.methods.semi.paws import paws_loss
from engine.ops import across
from engine.ops.sinkhorn import sinkhorn

RANKS, ROWS, WIDTH = 2, 6, 5
"""Ranks, rows of the joint batch, numbers a row."""


def mine(rows):
    return rows.chunk(across.world())[across.rank()]


def inputs():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(ROWS, WIDTH, generator=generator, dtype=torch.float64) for _ in range(2)]


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(WIDTH, 8), nn.Tanh(), nn.Linear(8, 4)).double()


def contrast(net, one, two):
    return nt_xent(net(one), net(two), 0.3)


def lookup(net, one, two):
    torch.manual_seed(2)
    queue = F.normalize(torch.randn(7, 4, dtype=torch.float64), dim=1)
    return info_nce(F.normalize(net(one), dim=1), F.normalize(net(two), dim=1), queue, 0.3)


def swapped(net, one, two):
    scores = [net(one), net(two)]
    return swapped_prediction(scores, [sinkhorn(each.detach(), 0.1, 4) for each in scores], 0.3)


def evenly_guessed(net, one, two):
    return paws_loss(net(one).softmax(dim=1), net(two).softmax(dim=1), 0.25, even=True)[0]


def to_the_middle(net, one, two):
    """A loss in which every row pulls at all of the joint batch, through `gather` alone."""
    middle = across.gather(net(two)).mean(dim=0)
    return ((net(one) - middle) ** 2).sum(dim=1).exp().mean()


LOSSES = (contrast, lookup, swapped, evenly_guessed, to_the_middle)


def all_losses():
    """Loss and gradients of each, as a rank with its share or a single process with the joint batch comes to them."""
    found = []
    for loss_of in LOSSES:
        net = network()
        loss = loss_of(net, *map(mine, inputs()))
        loss.backward()
        across.mean_(weight.grad for weight in net.parameters())
        found.append({"loss": across.mean(loss), "slopes": [weight.grad for weight in net.parameters()]})
    scores = inputs()[0]
    codes = [across.gather(sinkhorn(mine(scores), 0.1, times)) for times in (0, 1, 3)]
    return found, codes


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return on_ranks(tmp_path_factory.mktemp("losses"), all_losses), all_losses()


@pytest.mark.parametrize("place", range(len(LOSSES)), ids=[loss.__name__ for loss in LOSSES])
def test_loss_and_gradients_are_those_of_the_joint_batch(both, place):
    ranks, (alone, _) = both
    for found, _ in ranks:
        assert found[place]["loss"].item() == pytest.approx(alone[place]["loss"].item(), abs=1e-12)
        for one, other in zip(found[place]["slopes"], alone[place]["slopes"], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_codes_are_the_rows_of_the_joint_problem(both):
    ranks, (_, alone) = both
    for _, codes in ranks:
        for one, other in zip(codes, alone, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


def test_alone_nothing_is_copied():
    rows = torch.ones(2, 3, requires_grad=True)
    assert across.gather(rows) is rows
    assert across.mean(rows) is rows
    assert (across.world(), across.rank(), across.tell(1, 2), across.collect("x")) == (1, 0, (1, 2), ["x"])


FACTS = Facts(1, 28, ("a", "b"))


def three_steps_of_queues():
    """The queues of MoCo and SwAV after three batches of keys, and codes in which the queue has its share."""
    torch.manual_seed(0)
    moco = method("representation.moco").build(method("representation.moco").params.make({}, "tiny"), FACTS)
    of = method("representation.swav")
    swav = of.build(of.params.make({"queue": 11}, "tiny"), FACTS)
    codes = []
    for step in range(3):
        keys = F.normalize(torch.randn(6, 8, generator=torch.Generator().manual_seed(step)), dim=1)
        codes.append(across.gather(swav.codes(mine(keys), 0, True)))
        moco.enqueue(mine(keys))
        for place in range(2):
            swav.enqueue(mine(keys) * (1 - 2 * place), place)
    return moco.queue, moco.pointer, swav.queue, *codes


@pytest.mark.slow
def test_queues_hold_the_keys_of_all_ranks(tmp_path):
    alone = three_steps_of_queues()
    for found in on_ranks(tmp_path, three_steps_of_queues):
        assert all(torch.equal(one, other) for one, other in zip(found[:3], alone[:3], strict=True))
        for one, other in zip(found[3:], alone[3:], strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def toy_set(count=40):
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 1, 4, 4), generator=generator, dtype=torch.uint8)
    return Memory(Batch(images, torch.arange(count)), Facts(1, 4, ("a",)))


class Toy(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(5 + across.rank())  # attach has to make them alike
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4)).double()


def trained():
    """The weights after eight steps of momentum, clipped, and what chance was: numbers of each rank's generator."""
    bench = Bench(Setup(device="cpu"))
    model = Toy()
    bench.attach(model)
    before = torch.rand(2, generator=bench.generator)
    optimizer = torch.optim.SGD(model.parameters(), 0.3, momentum=0.9)
    shown, chance = [], []
    for batch in bench.batches(toy_set(), 12, 8, keep=optimizer):
        images = batch.images.double()
        bench.step(optimizer, nt_xent(model.net(images), model.net(images.flip(-1)), 0.5), clip=0.2)
        shown.append(batch.index)
        chance.append(torch.rand(2, generator=bench.generator))
    first = bench.once(lambda: {"drawn": torch.rand(2, generator=bench.generator)})["drawn"]
    state = bench.state()
    return model.state_dict(), torch.cat(shown), before, torch.stack(chance), first, len(state.get("ranks", []))


def trained_twice():
    return trained(), trained()


@pytest.mark.slow
def test_two_ranks_train_to_the_weights_of_one_process_with_the_joint_batch(tmp_path):
    torch.manual_seed(5)
    weights, shown, before, chance, *_ = trained()
    answers = on_ranks(tmp_path, trained_twice)
    ranks = [once for once, _ in answers]
    for found in ranks:
        for name, value in weights.items():
            torch.testing.assert_close(found[0][name], value, rtol=0, atol=1e-10)
        assert torch.equal(found[2], before), "before its first loop all draw alike"
        assert torch.equal(found[4], ranks[0][4]), "what was found once is that of rank 0"
        assert found[5] == RANKS
    parts = torch.stack([found[1].unflatten(0, (8, 6)) for found in ranks], dim=1)
    assert torch.equal(parts.flatten(), shown)
    assert torch.equal(ranks[0][3], chance), "rank 0 draws as if it were alone"
    assert not torch.equal(ranks[1][3], chance)
    assert torch.equal(answers[1][1][3], ranks[1][3]), "the same seed, the same chance"


def test_a_batch_that_cannot_be_shared_evenly_is_named():
    with pytest.raises(ValueError, match="batch: 9 cannot be shared evenly by 2 ranks; make it a multiple of 2"):
        Draws(40, 9, 3, 0, 0, 1, 2)


def drifted():
    bench, model = Bench(Setup(device="cpu")), Toy()
    bench.attach(model)
    with torch.no_grad():
        model.net[1].weight += across.rank()
    try:
        bench.state()
    except RuntimeError as error:
        return str(error)
    return ""


@pytest.mark.slow
def test_weights_that_part_ways_are_found_when_saving(tmp_path):
    assert all("train it with 1 rank" in told for told in on_ranks(tmp_path, drifted))


def resumed():
    """Reports of a method with random views, straight through, and stopped after two of its steps and resumed."""
    from engine.checkpoint import Checkpoint, pack, unpack

    of = method("representation.simclr")
    params = of.params.make({"steps": 4}, "tiny")

    def go(resume=None, stop=0):
        bench = Bench(Setup.make({"device": "cpu"}, "tiny"), resume)
        facts = bench.facts(params)
        model = of.build(params, facts)
        losses = []
        for report in drive(of, model, params, bench):
            losses.append(report["loss"])
            if bench.done == stop:
                break
        tensors = {}
        state = unpack(pack(bench.state(), tensors), tensors)
        weights = copy.deepcopy({name: value.clone() for name, value in model.state_dict().items()})
        return torch.stack(losses), Checkpoint("x", {}, facts, bench.done, across.agree(lambda: weights), state)

    whole, _ = go()
    before, checkpoint = go(stop=2)
    after, _ = go(checkpoint)
    return whole, torch.cat((before, after))


@pytest.mark.slow
def test_resuming_gives_each_rank_its_own_chance_again(tmp_path):
    """Rank 0's batch statistics are taken up by all, so that only the losses of training are to be the same."""
    ranks = on_ranks(tmp_path, resumed)
    for whole, stopped in ranks:
        assert torch.equal(whole, stopped)
    assert not torch.equal(ranks[0][0], ranks[1][0])
