"""The bench on a method that has everything hard: two loops, dropout, two optimisers' states, sampled batches, once."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from engine.bench import Bench, Setup
from engine.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from engine.data.base import Batch, Facts, Memory
from engine.data.draws import Draws
from engine.method import Claim, Curves, Method, Params, drive, knob, stage

FACTS = Facts(1, 4, ("a", "b", "c"))


def toy_set(count=50):
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (count, 1, 4, 4), generator=generator, dtype=torch.uint8)
    return Memory(Batch(images, torch.arange(count), labels=torch.arange(count) % 3), FACTS)


class ToyParams(Params):
    data: str = knob("toy", "data")
    steps: int = knob(5, "steps a loop", 1, 100)


class Toy(nn.Module):
    def __init__(self, params, facts):
        super().__init__()
        self.teacher, self.student = (
            nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Dropout(0.3), nn.Linear(8, len(facts.classes)))
            for _ in range(2)
        )


def fit(net, bench, data, steps, labels=None):
    optimizer = torch.optim.AdamW(net.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    for batch in bench.batches(data, 8, steps, keep=(optimizer, schedule)):
        noise = torch.rand(batch.images.shape, generator=bench.generator) * 0.1
        target = batch.labels if labels is None else labels[batch.index]
        loss = F.cross_entropy(net(batch.images + noise), target)
        bench.step(optimizer, loss, schedule=schedule, clip=1.0)
        yield {"loss": loss.detach(), "views": batch.images, "due": float(bench.due)}


def train(model, params, bench):
    data = toy_set()
    yield from stage("teacher", fit(model.teacher.train(), bench, data, params.steps))
    labels = bench.once(lambda: model.teacher.eval()(data.batch(torch.arange(len(data))).to("cpu").images).argmax(1))
    bench.once(lambda: model.student.load_state_dict(model.teacher.state_dict()) and None)
    yield from stage("student", fit(model.student.train(), bench, data, params.steps, labels))
    yield {"agreement": (labels == labels.mode().values).float().mean()}


CLAIM = Claim("", "agreement", {}, "agreement")
TOY = Method(ToyParams, Toy, train, (Curves(("teacher/loss",), ""),), (), CLAIM, steps=lambda p: 2 * p.steps)


def run(resume=None, stop=None):
    params = ToyParams.make({})
    bench = Bench(Setup(device="cpu"), resume)
    model = Toy(params, FACTS)
    reports = []
    for report in drive(TOY, model, params, bench):
        reports.append((bench.done, {k: v.clone() if torch.is_tensor(v) else v for k, v in report.items()}))
        if len(reports) == stop:
            break
    return reports, model, bench


def same(one, two):
    return one[0] == two[0] and all(torch.equal(torch.as_tensor(one[1][k]), torch.as_tensor(two[1][k])) for k in one[1])


@pytest.mark.parametrize("stop", range(1, 12))
def test_a_run_stopped_at_any_report_and_resumed_is_bit_equal(stop, tmp_path):
    whole, final, _ = run()
    before, model, bench = run(stop=stop)
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, Checkpoint("toy", {}, FACTS, bench.done, model.state_dict(), bench.state()))
    torch.manual_seed(999)
    after, resumed, _ = run(resume=read_checkpoint(path, with_state=True))
    expected = [report for report in whole if report[0] > bench.done or "agreement" in report[1]]
    assert len(after) == len(expected)
    assert all(itertools.starmap(same, zip(before + after[-len(expected) :], before + expected, strict=True)))
    assert all(
        torch.equal(a, b) for a, b in zip(final.state_dict().values(), resumed.state_dict().values(), strict=True)
    )


def test_same_seed_same_numbers_and_another_seed_others():
    one, two = run()[0], run()[0]
    assert all(itertools.starmap(same, zip(one, two, strict=True)))
    other = Bench(Setup(device="cpu", seed=1))
    first = next(iter(other.batches(toy_set(), 8, 1))).index
    assert not torch.equal(first, next(iter(Bench(Setup(device="cpu")).batches(toy_set(), 8, 1))).index)


def test_every_epoch_shows_every_image_once():
    data = toy_set(50)
    drawn = torch.cat([batch.index for batch in Bench(Setup(device="cpu")).batches(data, 8, 25)])
    for epoch in drawn.split(50):
        assert sorted(epoch.tolist()) == list(range(50))


def test_due_is_true_looks_times_and_at_the_last_step():
    for steps, looks in ((7, 3), (16, 16), (3, 16), (100, 7)):
        bench = Bench(Setup(device="cpu", looks=looks))
        due = [bench.due for _ in bench.steps(steps)]
        assert sum(due) == min(steps, looks)
        assert due[-1]


def test_loops_do_not_nest_and_a_broken_loop_is_closed():
    bench = Bench(Setup(device="cpu"))
    for _ in bench.steps(5):
        break
    with pytest.raises(RuntimeError, match="do not nest"):  # noqa: PT012 - the inner loop fails at its first step
        for _ in bench.steps(5):
            next(bench.steps(2))
    with pytest.raises(RuntimeError, match="between loops"):  # noqa: PT012
        for _ in Bench(Setup(device="cpu")).steps(1):
            bench._open = True
            bench.once(lambda: None)


def test_a_batch_larger_than_the_set_is_named():
    with pytest.raises(ValueError, match="batch: 64 is more than the 50 images"):
        next(iter(Bench(Setup(device="cpu")).batches(toy_set(), 64, 1)))


class OnDisk:
    """The same set behind the interface that does not fit into memory."""

    facts = FACTS

    def __len__(self):
        return 50

    def batch(self, index):
        return toy_set().batch(index)


def test_worker_loaders_give_the_same_batches_as_memory():
    near = [b.images for b in Bench(Setup(device="cpu")).batches(toy_set(), 8, 6)]
    far = [b.images for b in Bench(Setup(device="cpu", workers=1)).batches(OnDisk(), 8, 6)]
    assert all(map(torch.equal, near, far))


def test_a_million_steps_are_not_drawn_in_advance():
    draws = Draws(1_281_167, 4096, 10**6, seed=0, loop=0)
    assert len(draws) == 10**6
    late = draws[999_999]
    assert late.shape == (4096,)
    assert torch.equal(late, draws[999_999])
    with pytest.raises(IndexError):
        draws[10**6]


def test_a_device_that_is_not_here_is_refused():
    if torch.cuda.is_available():
        pytest.skip("this machine has cuda")
    with pytest.raises(ValueError, match="'cuda' is not on this machine"):
        Bench(Setup(device="cuda"))
