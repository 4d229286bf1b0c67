"""Self-training against its definitions: who is shown what, with which targets, and what the loss is."""

import pytest
import torch
import torch.nn.functional as F

from engine.bench import Bench, Setup
from engine.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from engine.data.base import Batch, Facts, Memory
from engine.method import drive
from engine.methods.semi import self_training
from engine.methods.semi.self_training import METHOD, SelfTrainingParams, self_training_loss

FACTS = Facts(1, 28, ("dark", "light", "striped"))


def toy(count, seed):
    """Three classes that pixels tell apart; the first pixel of a picture is its position in the set."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 60, (count, 1, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.arange(count) % 3
    images[labels == 1] += 150
    images[labels == 2, :, ::4] += 150
    images[:, 0, 0, 0] = torch.arange(count)
    return Memory(Batch(images, torch.arange(count), labels), FACTS)


def bench(resume=None):
    sets = {("toy", "train", 28): toy(60, 0), ("toy", "test", 28): toy(30, 1)}
    return Bench(Setup(device="cpu", looks=2), resume, sets)


def make(**knobs):
    usual = {"data": "toy", "labelled": 2, "steps": 3, "teacher_steps": 3, "batch": 4, "width": 2, "student_width": 2,
             "rounds": 2, "threshold": 0.0}  # fmt: skip
    return SelfTrainingParams.make(usual | knobs)


def trained(here=None, **knobs):
    params = make(**knobs)
    model = METHOD.build(params, FACTS)
    return [dict(report) for report in drive(METHOD, model, params, here or bench())], model


# The loss


def test_with_no_unlabelled_pictures_the_loss_is_supervised():
    logits, labels = torch.randn(8, 5), torch.arange(8) % 5
    loss = self_training_loss(logits, F.one_hot(labels, 5).float(), 8)
    assert loss.item() == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-6)


def test_the_loss_is_the_papers_double_sum():
    logits, targets = torch.randn(7, 4).double(), torch.randn(7, 4).double().softmax(1)
    labels = torch.tensor([1, 0, 3])
    targets[:3] = F.one_hot(labels, 4)
    probabilities = logits.softmax(1)
    total = 0.0
    for i in range(3):
        total -= probabilities[i, labels[i]].log().item()
    for i in range(3, 7):
        total -= sum(targets[i, c].item() * probabilities[i, c].log().item() for c in range(4))
    assert self_training_loss(logits, targets, 3).item() == pytest.approx(total / 3, rel=1e-9)


def test_a_student_who_agrees_pays_its_teachers_doubt_and_learns_nothing():
    told = torch.randn(6, 4).double().softmax(1)
    logits = told.log().requires_grad_()
    loss = self_training_loss(logits, told, 6)
    entropy = -(told * told.log()).sum(1).mean()
    assert loss.item() == pytest.approx(entropy.item(), rel=1e-9)
    loss.backward()
    assert logits.grad.abs().max() < 1e-12
    worse = self_training_loss(logits + 0.1 * torch.randn(6, 4), told, 6)
    assert worse > entropy


# Who is shown what


@pytest.fixture
def lessons(monkeypatch):
    """What each `fit` was given, with the training left out."""
    given = []

    def spy(net, labelled, lesson, params, bench, steps):
        given.append((net, labelled, lesson))
        for _ in bench.steps(steps):
            yield {"loss": 0.0}

    monkeypatch.setattr(self_training, "fit", spy)
    return given


def positions(dataset):
    """Where the pictures of a part stand in the whole set."""
    return (dataset.batch(torch.arange(len(dataset))).to("cpu").images[:, 0, 0, 0] * 255).round().long()


@pytest.mark.parametrize("targets", ["soft", "hard"])
def test_students_get_all_other_pictures_with_the_undisturbed_opinion_of_the_one_before(lessons, targets):
    _, model = trained(targets=targets, balance=False, dropout=0.5)
    whole = toy(60, 0)
    networks = list(model.networks)
    assert [net for net, *_ in lessons] == networks
    labelled = positions(lessons[0][1])
    assert torch.bincount(whole.rows.labels[labelled]).tolist() == [2, 2, 2]
    assert lessons[0][2] is None
    for teacher, (_, again, (pictures, told)) in zip(networks, lessons[1:], strict=False):
        # The labelled keep their true labels, and are never among those with pseudo-labels.
        batch = again.batch(torch.arange(len(again)))
        assert torch.equal(batch.labels, whole.rows.labels[labelled])
        places = positions(pictures)
        assert sorted(places.tolist()) == sorted(set(range(60)) - set(labelled.tolist()))
        with torch.no_grad():
            opinion = teacher.eval()(whole.rows.images[places].float() / 255).softmax(1)
        expected = opinion if targets == "soft" else F.one_hot(opinion.argmax(1), 3).float()
        assert torch.allclose(told, expected, atol=1e-6)


def test_a_lesson_smaller_than_a_batch_is_repeated(lessons):
    _, model = trained(threshold=0.0, labelled=19, batch=32, ratio=3)
    pictures, told = lessons[1][2]
    assert len(pictures) == len(told) >= 96
    assert len(set(positions(pictures).tolist())) <= 3
    assert len(model.networks) == 3


def test_with_ratio_0_students_see_labels_alone(lessons):
    reports, _ = trained(ratio=0)
    assert [lesson for _, _, lesson in lessons] == [None, None, None]
    assert "pseudo/kept" in reports[-2]


def test_pictures_without_labels_can_come_from_elsewhere(lessons):
    foreign = Memory(Batch(torch.zeros(200, 1, 28, 28, dtype=torch.uint8), torch.arange(200)), Facts(1, 28))
    reports, _ = trained(bench_with(foreign), unlabelled="mine", balance=False)
    assert len(lessons[1][2][0]) == 200
    assert not any("pseudo/right" in report for report in reports)
    coloured = Memory(Batch(torch.zeros(9, 3, 28, 28, dtype=torch.uint8), torch.arange(9)), Facts(3, 28))
    with pytest.raises(ValueError, match="unlabelled: 3 channels, data: 1"):
        trained(bench_with(coloured), unlabelled="mine")


def bench_with(dataset, resume=None):
    here = bench(resume)
    here._sets[("mine", "train", 28)] = dataset
    return here


# The start


def far(channels=1, classes=("a", "b"), count=40):
    """Another labelled set: two classes, dark and light."""
    labels = torch.arange(count) % 2
    images = (labels * 200).byte().view(-1, 1, 1, 1).repeat(1, channels, 28, 28)
    return Memory(Batch(images, torch.arange(count), labels), Facts(channels, 28, classes))


START = {"start_data": "mine", "start_steps": 4, "start_batch": 4}
STARTS = pytest.mark.parametrize("start", ["supervised", "self-supervised"])


@pytest.fixture
def entered(monkeypatch):
    """The state of each network when its training began, and the lesson that it was given; training left out."""
    given = []

    def spy(net, labelled, lesson, params, bench, steps):
        given.append(({name: value.clone() for name, value in net.state_dict().items()}, lesson))
        for _ in bench.steps(steps):
            yield {"loss": 0.0}

    monkeypatch.setattr(self_training, "fit", spy)
    return given


def of_backbone(state):
    return {name: value for name, value in state.items() if name.startswith("backbone.")}


@STARTS
def test_teacher_and_students_begin_with_the_backbone_that_the_start_ended_with(entered, start):
    torch.manual_seed(0)
    built = [net.state_dict() for net in METHOD.build(make(), FACTS).networks]
    here, params = bench_with(far()), make(start=start, **START)
    model, ended = METHOD.build(params, FACTS), {}
    for report in drive(METHOD, model, params, here):
        if "start/loss" in report:
            ended = {name: value.clone() for name, value in of_backbone(model.networks[0].state_dict()).items()}
    assert len(entered) == 3
    for (state, _), fresh in zip(entered, built, strict=True):
        assert all(torch.equal(of_backbone(state)[name], value) for name, value in ended.items())
        assert not torch.equal(state["backbone.net.stem.0.weight"], fresh["backbone.net.stem.0.weight"])
    heads = [state["head.weight"] for state, _ in entered]
    assert not torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[1], heads[2])


@STARTS
def test_with_no_unlabelled_pictures_it_is_supervised_training_from_that_start(start):
    """A student of ratio 0, against a loop written here from the start's backbone, picture by picture."""
    params = make(start=start, ratio=0, rounds=1, n=0, dropout=0.0, steps=3, **START)
    here = bench_with(far())
    model, states = METHOD.build(params, FACTS), []
    drawn = []
    for report in drive(METHOD, model, params, here):
        if "teacher/loss" in report and here.done == params.start_steps + params.teacher_steps:
            states.append({name: value.clone() for name, value in model.networks[1].state_dict().items()})
            drawn.append(here.generator.get_state())
        last = report
    slow, dice = METHOD.build(params, FACTS).networks[1], torch.Generator()
    slow.load_state_dict(states[0])
    dice.set_state(drawn[0])
    labelled = here._once_results[1]
    pictures = toy(60, 0).rows
    optimizer = torch.optim.AdamW(slow.parameters(), params.lr, weight_decay=params.weight_decay)
    slow.train()
    for step in range(3):
        for group in optimizer.param_groups:
            group["lr"] = params.lr * self_training.cosine(step, 3, warmup=0, start=0.01)
        rows = labelled[torch.randint(len(labelled), (params.batch,), generator=dice)]
        loss = F.cross_entropy(slow(pictures.images[rows].float() / 255), pictures.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, value in slow.state_dict().items():
        assert torch.allclose(value, model.networks[1].state_dict()[name], atol=1e-6), name
    assert "accuracy" in last


@STARTS
def test_a_start_learns_what_it_is_for(start):
    knobs = START | {"start_steps": 60, "start_batch": 16, "lr": 0.02, "width": 4, "student_width": 4}
    torch.manual_seed(0)
    reports, _ = trained(bench_with(far()), start=start, **knobs)
    losses = [float(report["start/loss"]) for report in reports if "start/loss" in report]
    assert len(losses) == 60
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    assert METHOD.steps(make(start=start, **START)) == METHOD.steps(make()) + 4


def test_a_random_start_draws_nothing():
    """The same numbers, whatever a start would have been."""
    told = []
    for knobs in ({}, {"start_steps": 9, "start_data": "mine", "temperature": 0.5}):
        torch.manual_seed(0)
        told.append([float(report.get("teacher/loss", 0)) for report in trained(**knobs)[0]])
    assert told[0] == told[1]


@STARTS
@pytest.mark.parametrize("stop", [2, 4, 5, 8])
def test_a_run_resumes_bit_equal_across_the_start(start, stop, tmp_path):
    params = make(start=start, dropout=0.3, **START)
    model, here = METHOD.build(params, FACTS), bench_with(far())
    reports, path = [], tmp_path / "c.safetensors"
    for report in drive(METHOD, model, params, here):
        reports.append(dict(report))
        if here.done == stop and not path.exists():
            state = {name: value.clone() for name, value in model.state_dict().items()}
            write_checkpoint(path, Checkpoint("semi.self_training", {}, FACTS, stop, state, here.state()))
    torch.manual_seed(99)
    again = METHOD.build(params, FACTS)
    resumed = bench_with(far(), read_checkpoint(path, with_state=True))
    after = [dict(report) for report in drive(METHOD, again, params, resumed)]
    for one, two in zip(reports[-len(after) :], after, strict=True):
        assert one.keys() == two.keys()
        assert all(torch.equal(torch.as_tensor(one[name]), torch.as_tensor(two[name])) for name in one
                   if not isinstance(one[name], list))  # fmt: skip
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


def test_a_start_that_cannot_be_is_named():
    with pytest.raises(ValueError, match="start: a backbone of width 2 does not fit students of width 3"):
        make(start="supervised", student_width=3)
    make(student_width=3)
    with pytest.raises(ValueError, match="start_data: 3 channels, data: 1; choose sets that are alike"):
        trained(bench_with(far(3)), start="supervised", **START)
    with pytest.raises(ValueError, match="start_data: mine has fewer than two classes"):
        trained(bench_with(far(classes=("a",))), start="supervised", **START)
    with pytest.raises(ValueError, match="batch"):
        trained(bench_with(far()), start="supervised", **START | {"start_batch": 41})


def test_at_magnitude_0_nothing_is_distorted(monkeypatch):
    seen = []
    monkeypatch.setattr(self_training, "RandAugment", lambda n, m: seen.append((n, m)) or (lambda images, _: images))
    trained(m=0)
    assert set(seen) == {(0, 0)}


# Training


def test_a_student_leaves_its_teacher_as_it_was():
    params, here = make(rounds=1), bench()
    model = METHOD.build(params, FACTS)
    kept = None
    for report in drive(METHOD, model, params, here):
        if "student 1/loss" in report:
            now = {name: value.clone() for name, value in model.networks[0].state_dict().items()}
            kept = kept or now
            assert all(torch.equal(now[name], kept[name]) for name in now)
    assert kept


def test_the_last_report_compares_all_networks_on_the_test_pictures():
    reports, model = trained(rounds=2)
    last, test = reports[-1], toy(30, 1).batch(torch.arange(30)).to("cpu")
    with torch.no_grad():
        right = [(net.eval()(test.images).argmax(1) == test.labels).float().mean().item() for net in model.networks]
    assert last["right"].tolist() == pytest.approx(right)
    assert (last["teacher_accuracy"], last["accuracy"]) == (last["right"][0], last["right"][-1])
    assert list(last["network"]) == ["teacher", "student 1", "student 2"]


def test_what_cannot_be_is_named():
    with pytest.raises(ValueError, match="labelled: 20 a class leaves no picture without a label"):
        trained(labelled=20)
    with pytest.raises(ValueError, match=r"threshold: no pseudo-label above 0.99, the surest has"):
        trained(threshold=0.99, teacher_steps=1)
    with pytest.raises(ValueError, match="toy has fewer than two classes"):
        METHOD.build(make(), Facts(1, 28, ("all",)))


# Lenses


def answer(name, model, images=None, **knobs):
    lens = next(lens for lens in METHOD.lenses if lens.name == name)
    return list(lens.answers(model, lens.params.make(knobs), images, bench()))[-1]


@pytest.fixture(scope="module")
def model():
    return trained(steps=6, teacher_steps=6, rounds=2)[1].eval()


@torch.no_grad()
def told(model, place, images):
    return model.networks[place](images).softmax(1)


def test_predictions_are_both_networks_own(model):
    images = toy(30, 1).batch(torch.arange(4)).to("cpu").images
    found = answer("Predictions", model, images, picture=3)
    assert torch.equal(found["seen"], images)
    assert torch.allclose(found["teacher"], told(model, 0, images)[2])
    assert torch.allclose(found["student"], told(model, 2, images)[2])
    assert torch.allclose(found["student_is_sure"], told(model, 2, images).max(1).values)
    assert found["teacher_says"] == [FACTS.classes[i] for i in told(model, 0, images).argmax(1).tolist()]
    one = answer("Predictions", model, images, student=1)
    assert torch.allclose(one["student"], told(model, 1, images)[0])
    assert not torch.equal(answer("Predictions", model, images, m=25)["seen"], images)
    with pytest.raises(ValueError, match="picture: there are 4 pictures, got 5"):
        answer("Predictions", model, images, picture=5)


def test_where_they_differ_counts_every_test_picture_once_and_sorts_by_distance(model):
    test = toy(30, 1).batch(torch.arange(30)).to("cpu")
    found = answer("Where they differ", model, data="toy")
    first, second = (told(model, place, test.images) for place in (0, 2))
    right = [(a == t, b == t) for a, b, t in
             zip(first.argmax(1).tolist(), second.argmax(1).tolist(), test.labels.tolist(), strict=True)]  # fmt: skip
    counts = dict(zip(found["who"], found["pictures"].tolist(), strict=True))
    expected = {"both right": (True, True), "student right": (False, True), "teacher right": (True, False)}
    assert counts == {who: right.count(pair) for who, pair in (expected | {"both wrong": (False, False)}).items()}
    apart = ((first - second).abs().sum(1) / 2).sort(descending=True).values
    assert torch.allclose(found["apart"], apart[:16], atol=1e-6)
    for who in ("student right", "teacher right", "both wrong"):
        if counts[who]:
            some = answer("Where they differ", model, data="toy", show=who)
            assert len(some["shown"]) == min(16, counts[who])
        else:
            with pytest.raises(ValueError, match=f"show: '{who}' fits no test picture"):
                answer("Where they differ", model, data="toy", show=who)


def test_threshold_splits_what_it_keeps_into_right_and_wrong(model):
    test = toy(30, 1).batch(torch.arange(30)).to("cpu")
    sure, label = told(model, 0, test.images).max(1)
    level = sure.median().item()
    found = answer("Threshold", model, data="toy", threshold=level)
    assert (found["rightly"].sum() + found["wrongly"].sum()).item() == (sure > level).sum()
    assert found["rightly"].sum() == ((sure > level) & (label == test.labels)).sum()
    assert found["kept"][0].tolist() == [0, 1]
    assert torch.isfinite(found["right"]).all()
