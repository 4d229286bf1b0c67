"""The page that puts runs side by side, its route for tiles, and the same on the command line. No browser."""

import io
import json
import shutil

import numpy as np
import pytest
from app_pages import opened, text
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine.bench import Setup
from engine.catalog import method
from engine.data.base import Facts
from engine.files import stamp
from engine.record import read_values
from engine.run import run as carry_out
from lab import api, cli, warm
from lab.answers import Answers, ask, disagreement
from lab.looking import Looker
from lab.runs.run import plan

CLASSIFIES, OTHER = "augmentation.randaugment", "fewshot.prototypical"


@pytest.fixture(scope="module", autouse=True)
def warmed():
    warm._importing().result()


def trained(id, name, **knobs):
    run = plan(id, method(id).params.make(knobs, "tiny"), Setup.make({"device": "cpu"}, "tiny"), name)
    assert carry_out(run.folder) == "done"
    return run


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A home with three runs: two classify, one does not. Copied for each test, so that it stays as it is."""
    folder = tmp_path_factory.mktemp("shelf") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VISIONARIUM_HOME", str(folder))
        ids = [trained(CLASSIFIES, "one").id, trained(CLASSIFIES, "two", n=0).id, trained(OTHER, "three").id]
    return folder, ids


@pytest.fixture
def three(shelf, tmp_path, monkeypatch):
    shutil.copytree(shelf[0], tmp_path / "home")
    monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path / "home"))
    return shelf[1]


def copies(id, count):
    """More runs like `id`, with its series and pictures."""
    from lab.runs import find

    first, ids = find(id), [id]
    for i in range(count - 1):
        params = method(first.plan.method).params.make({"n": i % 4, "m": i}, "tiny")
        other = plan(first.plan.method, params, Setup(), f"copy {i}")
        shutil.copy(first.folder / "metrics.jsonl", other.folder)
        shutil.copytree(first.folder / "media", other.folder / "media")
        ids.append(other.id)
    return ids


@pytest.mark.parametrize("count", [2, 3, 8])
def test_runs_stand_side_by_side(three, count):
    runs = ",".join(copies(three[0], count))
    app = opened("compare", runs=runs)
    assert {"one", *(f"copy {i}" for i in range(count - 1))} <= {link.value for link in app.page_link}
    figures = json.loads(app.get("bidi_component")[1].proto.json)["figures"]
    steady = [one.value for one in app.caption if one.value.startswith("The same throughout")]
    assert [one.rpartition(" ")[0] for one in steady] == ["The same throughout: neighbours"]
    assert [len(one["lines"]) for one in figures] == [count] * 5
    table = app.dataframe[0].value
    assert len(table) == 6 * count
    assert {"loss", "test accuracy"} <= set(table["number"])
    app = opened("compare", runs=runs, part="Pictures")
    assert "nearest to the slider's" in text(app)
    app = opened("compare", runs=runs, part="Settings")
    knobs = app.dataframe[0].value
    assert knobs.columns.tolist() == ["", "one", *(f"copy {i}" for i in range(count - 1))]
    assert "lr" not in knobs[""].tolist()
    app.toggle(key="differences").set_value(False).run()
    assert "lr" in app.dataframe[0].value[""].tolist()


def test_runs_that_are_not_there_or_alone_are_told(three):
    assert (
        "there is no run 20200101-000000-abcd"
        in opened("compare", runs=f"{three[0]},20200101-000000-abcd").error[0].value
    )
    assert "is no run's id" in opened("compare", runs=f"{three[0]},../../etc").error[0].value
    assert "0 runs are named; choose 2 to 8" in opened("compare").error[0].value


def test_an_epoch_that_is_not_known_is_told(three):
    app = opened("compare", runs=f"{three[0]},{three[2]}", along="epoch")
    assert "do not tell how many steps make an epoch: three" in text(app)


def test_runs_of_which_the_same_was_asked_say_so(three):
    again = plan(CLASSIFIES, method(CLASSIFIES).params.make({}, "tiny"), Setup.make({"device": "cpu"}, "tiny"), "again")
    app = opened("compare", runs=f"{three[0]},{again.id}", part="Settings")
    assert "Nothing differs in what was asked of them" in text(app)


def test_runs_without_pictures_of_one_kind_say_so(three):
    assert "No two of them stored pictures of one kind" in text(
        opened("compare", runs=f"{three[0]},{three[2]}", part="Pictures")
    )
    mixed = opened("compare", runs=",".join(three), part="Pictures")
    assert "Nothing of the kind is stored by three" in text(mixed)


def asked(**query):
    """The page once the background has answered."""
    opened("compare", **query)
    warm._pool.submit(int).result()
    return opened("compare", **query)


def test_answers_are_paired_judged_and_shown(three):
    app = asked(runs=",".join(three[:2]), part="Answers")
    assert "McNemar's test" in text(app)
    assert "95 % interval" in text(app)
    table = app.dataframe[0].value
    assert table[["B right", "B wrong"]].to_numpy().sum() == 2000
    kinds = app.segmented_control(key="disagreements")
    kinds.set_value("only A right").run()
    assert not app.exception


def test_answers_to_other_questions_are_not_paired(three):
    app = asked(runs=f"{three[0]},{three[2]}", part="Answers")
    assert "cannot be compared: the test pictures of glyphs show other classes" in app.warning[0].value


class Pretend:
    """A test set of which only the classes matter."""

    def __init__(self, *classes):
        self.facts = Facts(1, 8, classes)


def test_disagreements_are_those_pictures_whose_label_is_known():
    test = Pretend("cat", "dog", "owl")
    truth = np.array([0, 1, 2, -1, 0, 1])
    a = Answers("set", test, np.array([0, 0, 1, 1, 1, 1]), truth)
    b = Answers("set", test, np.array([1, 1, 0, 0, 1, 1]), truth)
    found = disagreement(a, b)
    assert found.places.tolist() == [0, 1, 2, 4, 5]
    assert found.rows().tolist() == [0, 1, 2]
    assert [found.rows(kind).tolist() for kind in ("only A right", "only B right", "both wrong, differently")] == [
        [0], [1], [2],
    ]  # fmt: skip
    assert (found.pairs.both, found.pairs.only_a, found.pairs.only_b, found.pairs.apart) == (1, 1, 1, 1)
    with pytest.raises(ValueError, match="A learned from set and B from other"):
        disagreement(a, Answers("other", test, b.said, truth))
    with pytest.raises(ValueError, match="their classes were others"):
        disagreement(a, Answers("set", Pretend("cat", "dog", "emu"), b.said, truth))
    with pytest.raises(ValueError, match="have no labels"):
        disagreement(*(Answers("set", test, said.said, np.full(6, -1)) for said in (a, b)))


def test_a_model_answers_as_its_own_evaluation_says(three):
    from lab.checkpoints import open_model
    from lab.runs import find

    told = ask(Looker(open_model(three[0])))
    assert (told.said == told.truth).mean() == pytest.approx(find(three[0]).series()[-1]["test_accuracy"], abs=1e-6)


def test_a_model_that_does_not_classify_is_told(three, monkeypatch):
    from lab.checkpoints import open_model

    for forward, says in (
        (lambda images: images, "does not answer a picture with one of its 10 classes"),
        (lambda images, more: images, "does not answer"),
    ):
        opened = open_model(three[0])
        monkeypatch.setattr(opened.model, "forward", forward)
        with pytest.raises(ValueError, match=says):
            ask(Looker(opened))


def test_tiles_are_served_row_by_row_and_may_be_kept(three):
    from lab.runs import find

    server = TestClient(Starlette(routes=api.ROUTES))
    step, path = find(three[0]).media()[-1]
    address = f"/api/runs/{three[0]}/cells/2/{step}"
    whole = server.get(address)
    assert whole.headers["cache-control"] == "no-store"
    assert "max-age" in server.get(f"{address}?stamp={stamp(path)}").headers["cache-control"]
    assert whole.headers["x-rows"] == "8"
    picture = np.asarray(Image.open(io.BytesIO(whole.content)).convert("L")).astype(int)
    assert picture.shape == (8 * 160, 2 * 160)
    first = read_values(path)[0]["original"][3, 0]
    middles = picture[3 * 160 : 4 * 160, :160][2::6, 2::6]
    assert np.abs(middles - first[(np.arange(2, 160, 6) * 28 // 160)][:, np.arange(2, 160, 6) * 28 // 160]).mean() < 12
    row = server.get(f"{address}?cell=64&row=3")
    assert row.headers["x-rows"] == "1"
    assert Image.open(io.BytesIO(row.content)).size == (128, 64)
    for wrong in ("?row=99", "?cell=x"):
        assert server.get(address + wrong).status_code == 404
    for wrong in (f"/api/runs/{three[0]}/cells/0/{step}", f"/api/runs/{three[0]}/cells/2/77", "/api/runs/x/cells/2/1"):
        assert server.get(wrong).status_code == 404


def call(capsys, *words):
    code = cli.main(["runs", "compare", *words])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_the_command_prints_differences_numbers_and_the_verdict(three, capsys):
    code, out, _ = call(capsys, *three[:2])
    assert code == 0
    assert out.splitlines()[0].split() == ["one", "two"]
    assert ["n", "2", "0"] in [line.split() for line in out.splitlines()]
    assert "McNemar" not in out
    code, out, _ = call(capsys, *three[:2], "--test", "--json")
    told = json.loads(out)
    assert code == 0
    assert told["differences"] == {"n": [2, 0]}
    assert told["test"]["pictures"] == 2000
    assert told["test"]["interval"][0] <= told["test"]["difference"] <= told["test"]["interval"][1]
    assert {row["run"] for row in told["numbers"]} == {"one", "two"}
    for words, says in (
        (three[:1], "name 2 or more different runs"),
        ([three[0], three[0]], "name 2 or more different runs"),
        ([*three, "--test"], "--test compares the answers of 2 runs, got 3"),
        ([three[0], three[2], "--test"], "show other classes"),
    ):
        code, out, err = call(capsys, *words)
        assert (code, out) == (2, "")
        assert says in err
