"""Atlases and their routes: what is sent is what was asked, held against slow ways; work in the background stops."""

import csv
import io
import json
import sys
import time

import numpy as np
import pytest
import torch
from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine import shipped_map
from engine.bench import Setup
from engine.catalog import method
from engine.features import Features
from engine.ops.polygon import inside
from engine.run import run as carry_out
from lab import warm
from lab.atlas import Atlas, find_atlas, fits, keep_atlas, looks, routes, stored_atlas, umap_learn
from lab.atlas.atlas import KEPT, MAPS_KEPT, Plane
from lab.atlas.extraction import Wanted, course_atlas, forget, job
from lab.atlas.fits import FULL, HEAD, Asked, frames
from lab.runs.run import plan

CLIENT = TestClient(Starlette(routes=routes.ROUTES))


@pytest.fixture(autouse=True)
def _at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path / "home"))
    warm._importing().result()


def toy(count=60, id="toy", labelled=True, **more):
    """An atlas of three heaps of points, made of nothing."""
    draw = np.random.default_rng(0)
    labels = np.arange(count) % 3
    features = (draw.normal(size=(count, 4)) + 9 * np.eye(3, 4)[labels]).astype(np.float32)
    known = labels if labelled else np.full(count, -1)
    found = Features(
        features, known, draw.integers(0, 255, (count, 1, 8, 8), np.uint8), ("ant", "bee", "cat") if labelled else (),
        np.where(np.arange(count) < 6, (labels + 1) % 3, labels), np.full(count, 0.9, np.float32),
        np.linspace(0, np.log(3), count, dtype=np.float32), ("ant", "bee", "cat"),
    )  # fmt: skip
    return keep_atlas(Atlas(id, found, np.arange(count) + 100, "toys", f"{count} toys", **more))


def read(pieces):
    """The frames in bytes: (number, total, finished, places)."""
    data, found = b"".join(pieces), []
    while data:
        number, total, count, finished = HEAD.unpack_from(data)
        size = HEAD.size + 4 * count
        found.append((number, total, finished, np.frombuffer(data[HEAD.size : size], "<i2").reshape(count, 2)))
        data = data[size:]
    return found


def test_the_atlas_that_ships_is_whole_and_is_what_it_says():
    atlas = stored_atlas()
    assert len(atlas) == shipped_map.PICTURES == len(atlas.positions)
    assert list(atlas.maps) == ["umap", "tsne", "pca"]
    assert atlas.features.judged
    assert 0.7 < (atlas.features.predictions == atlas.features.labels).mean() < 1
    for name, plane in atlas.maps.items():
        told = fits.measured(atlas, Asked(name, {}), atlas.usual)
        assert told["trustworthiness"] > 0.9
        assert (np.abs(plane.drawn) <= 1.2).mean() > 0.99
    assert find_atlas("stored") is atlas
    data, positions = drawn_again()
    assert (positions == atlas.positions).all()
    assert (data == atlas.features.labels).all()


def drawn_again():
    from engine.data import open_data
    from engine.extract import drawn

    dataset, positions = drawn(open_data(shipped_map.DATA, shipped_map.SPLIT), shipped_map.PICTURES)
    return dataset.batch(torch.arange(len(dataset))).labels.numpy(), positions.numpy()


def test_the_oldest_atlases_and_maps_are_forgotten():
    atlas = toy(id="first")
    for i in range(KEPT):
        toy(id=f"later-{i}")
    with pytest.raises(ValueError, match="no longer at hand"):
        find_atlas("first")
    for i in range(MAPS_KEPT + 1):
        atlas.keep(str(i), Plane.around(np.zeros((3, 2))))
    assert list(atlas.maps) == [str(i) for i in range(1, MAPS_KEPT + 1)]


def test_columns_arrive_as_they_were_and_say_right_and_wrong():
    atlas = toy()
    body = CLIENT.get("/api/maps/toy/points?clusters=3").content
    length = int.from_bytes(body[:4], "little")
    head = json.loads(body[4 : 4 + length])
    assert (4 + length) % 4 == 0, "numbers lie where a browser can read them in place"
    found, at = {}, 4 + length
    for column in head["columns"]:
        kind = {1: np.uint8, 2: np.int16}[column["bytes"]]
        found[column["name"]] = np.frombuffer(body, kind, head["count"], at)
        at += column["bytes"] * head["count"]
    assert at == len(body)
    assert head["order"] == ["label", "prediction", "error", "uncertainty", "cluster"]
    assert (found["label"] == atlas.features.labels).all()
    assert (found["error"] == (np.arange(60) < 6)).all()
    assert (np.diff(found["uncertainty"].astype(int)) >= 0).all()
    assert (found["uncertainty"][0], found["uncertainty"][-1]) == (0, 254)
    assert len({(a, b) for a, b in zip(found["cluster"], found["label"], strict=True)}) == 3, "heaps are found"
    assert sum(column["bytes"] for column in head["columns"]) + 4 <= 12, "bytes a point, its place among them"
    assert [column["name"] for column in looks.columns(toy(labelled=False), 3)] == [
        "prediction",
        "uncertainty",
        "cluster",
    ]


def test_a_map_comes_as_frames_is_kept_and_is_the_engines_own():
    from engine.maps import layouts

    atlas = toy()
    asked = Asked("umap", {"epochs": "30", "n_neighbors": "8"})
    seen = read(frames(atlas, asked))
    *_, places = layouts("umap", torch.from_numpy(atlas.features.features), {"epochs": 30, "n_neighbors": 8})
    assert np.array_equal(atlas.maps[asked.key].places, places.numpy())
    assert [one[2] for one in seen] == [0] * (len(seen) - 1) + [1]
    assert seen[-1][:2] == (30, 30)
    np.testing.assert_allclose(seen[-1][3] / FULL, atlas.maps[asked.key].drawn, atol=1e-4)
    assert len(read(frames(atlas, asked))) == 1, "the second who asks gets the finished map"
    assert (
        Asked.of({"map": "umap", "umap.n_neighbors": "8", "umap.epochs": "30", "tsne.perplexity": "5"}).key == asked.key
    )


def test_a_second_map_begins_with_the_first_and_stays_near_it():
    one, two = toy(id="one"), toy(id="two")
    knobs = {"epochs": "50"}
    with pytest.raises(ValueError, match="not finished; make that one first"):
        next(frames(two, Asked("umap", knobs, "one")))
    list(frames(one, Asked("umap", knobs)))
    list(frames(two, Asked("umap", knobs, "one")))
    first, second = one.maps[Asked("umap", knobs).key], two.maps[Asked("umap", knobs, "one").key]
    assert (second.middle, second.reach) == (first.middle, first.reach), "both are drawn in one square"
    moved = np.abs(second.drawn - first.drawn).mean()
    assert moved < 0.25, "the same features under the pull stay where they were"


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("map=somap", "there is no map 'somap'"),
        ("umap.n_neighbors=1", "n_neighbors: '1' is out of range"),
        ("umap.wings=2", "there is no such knob"),
        ("map=course", "has no course over time"),
        ("map=tsne&tsne.perplexity=100", "perplexity: expected less than 60"),
        ("after=gone", "no longer at hand"),
    ],
)
def test_what_cannot_be_mapped_is_said(query, says):
    toy()
    answer = CLIENT.get(f"/api/maps/toy/layout?{query}")
    assert answer.status_code == 422
    assert says in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("nowhere/points", "no longer at hand"),
        ("toy/points?clusters=1", "clusters: expected 2 to 200, got 1"),
        ("toy/near/60", "picture: expected 0 to 59, got 60"),
        ("toy/sheet?rows=60", "rows: expected numbers from 0 to 59"),
        ("toy/sheet", "rows: expected numbers"),
        ("toy/measures", "not finished"),
        ("toy/selection?loops=1_2_3_4_5_6", "not finished"),
        ("stored/selection?loops=1_b", "selection: '1_b' is none; draw it again"),
        ("stored/selection?loops=1_2_3_4", "polygon: expected"),
        ("stored/script?colour=weight", "colour: there is none called 'weight'"),
    ],
)
def test_what_cannot_be_shown_is_said(path, says):
    toy()
    answer = CLIENT.get(f"/api/maps/{path}")
    assert answer.status_code == 422
    assert says in answer.json()["error"]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_neighbours_are_those_of_a_slow_search(metric):
    atlas = toy()
    rows = torch.from_numpy(atlas.features.features)
    slow = (
        torch.cdist(rows, rows) if metric == "euclidean" else 1 - torch.cosine_similarity(rows[:, None], rows[None], -1)
    )
    order = slow.fill_diagonal_(torch.inf)[7].argsort()[:8].tolist()
    found = CLIENT.get(f"/api/maps/toy/near/7?metric={metric}").json()
    assert found["rows"] == order
    np.testing.assert_allclose(found["distances"], slow[7, order], atol=2e-4)
    assert found["strip"].startswith("data:image/jpeg;base64,")


def test_a_sheet_has_the_thumbnails_side_by_side():
    from PIL import Image

    atlas = toy()
    sheet = Image.open(io.BytesIO(CLIENT.get("/api/maps/toy/sheet?rows=3,50,7").content))
    assert sheet.size == (3 * looks.TILE, looks.TILE)
    pixels = np.asarray(sheet.convert("L"), float)[6::12]  # the middle of each of the 8 x 8 pixels
    for place, row in enumerate((3, 50, 7)):
        shown = pixels[:, place * looks.TILE + 6 : (place + 1) * looks.TILE : 12]
        assert np.abs(shown - atlas.features.thumbnails[row, 0]).mean() < 12


def test_a_selection_is_the_table_of_the_points_in_the_loops():
    atlas, plane = stored_atlas(), stored_atlas().maps["umap"]
    one, two = [(-1, -1), (0.2, -1), (0.2, 0.2), (-1, 0.2)], [(0, 0), (1, 0), (1, 1), (0, 1)]
    told = "~".join("_".join(f"{int(1000 * x)}_{int(1000 * y)}" for x, y in loop) for loop in (one, two))
    expected = np.flatnonzero(inside(plane.drawn, one) | inside(plane.drawn, two))
    rows = list(csv.DictReader(io.StringIO(CLIENT.get(f"/api/maps/stored/selection?map=umap&loops={told}").text)))
    assert [int(row["picture"]) for row in rows] == atlas.positions[expected].tolist()
    assert [row["label"] for row in rows] == [atlas.features.classes[i] for i in atlas.features.labels[expected]]
    most = int(np.bincount(atlas.features.labels[expected]).argmax())
    alone = CLIENT.get(f"/api/maps/stored/selection?map=umap&loops={told}&colour=label&only={most}").text
    rows = list(csv.DictReader(io.StringIO(alone)))
    assert {row["label"] for row in rows} == {atlas.features.classes[most]}
    assert 0 < len(rows) < len(expected)
    assert CLIENT.get("/api/maps/stored/selection?map=umap").text.count("\n") == 1, "no loop, no picture"


@pytest.mark.parametrize("colour", ["label", "uncertainty"])
def test_the_script_draws_the_map_again(colour, tmp_path, monkeypatch):
    code = CLIENT.get(f"/api/maps/stored/script?map=pca&colour={colour}").text
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "map.py", "exec"), {})
    assert (tmp_path / "figure.png").stat().st_size > 10_000
    assert ("sneaker" if colour == "label" else "0.00 to 0.46 nats") in code


# Extraction


def finished(wanted):
    found = job(wanted)
    found.wait(120)
    return found


def test_any_model_is_asked_about_any_pictures_and_the_second_time_they_are_read(monkeypatch):
    found = finished(Wanted("representation.moco", "garments", "test", 40))
    assert not found.error
    assert (found.done, found.total, len(found.atlas)) == (40, 40, 40)
    assert found.atlas.says == "40 pictures of garments (test), seen by Momentum contrast · the shipped demo"
    assert find_atlas(found.atlas.id) is found.atlas
    assert job(found.wanted) is found
    forget(found)
    monkeypatch.setattr("engine.extract.embedder", lambda *_: pytest.fail("it was computed again"))
    again = finished(found.wanted)
    assert np.array_equal(again.atlas.features.features, found.atlas.features.features)


def test_a_network_that_knows_imagenet_sees_a_folder_and_says_its_own_classes(tmp_path):
    from PIL import Image

    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 255, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    found = finished(Wanted("imagenet:squeezenet", f"unlabelled:{tmp_path}", "train", 5))
    assert not found.error
    assert len(found.atlas) <= 5
    assert len(found.atlas.features.answers) == 1000
    assert not found.atlas.features.judged
    assert [one["name"] for one in looks.columns(found.atlas, 2)] == ["prediction", "uncertainty", "cluster"]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted("no/such/file.safetensors"), "is no run, no checkpoint file and no method"),
        (Wanted("detection.retinanet"), "does not say how it embeds pictures"),
        (Wanted("representation.moco", "garmints"), "there is no source 'garmints'; use garments"),
        (Wanted("representation.moco", "garments", "val"), "garments has train, test, got 'val'"),
    ],
)
def test_what_cannot_be_asked_is_said_and_may_be_tried_again(wanted, says):
    found = finished(wanted)
    assert says in found.error
    assert found.atlas is None
    forget(found)
    assert job(wanted) is not found


def test_it_stops_when_it_is_told_and_can_be_begun_anew(monkeypatch):
    from engine import extract as module

    began = []

    def slow(*_, **__):
        for done in range(1, 10_000):
            began.append(done)
            time.sleep(0.005)
            yield done, 10_000

    monkeypatch.setattr(module, "extract", slow)
    wanted = Wanted("representation.moco", "garments", "test", 30)
    found = job(wanted)
    while not began:
        time.sleep(0.01)
    found.stop()
    found.wait(60)
    assert found.error == "it was stopped"
    assert began[-1] < 9_999
    forget(found)
    monkeypatch.undo()


def test_the_atlas_that_ships_needs_no_work():
    assert Wanted(shipped_map.TARGET).ships
    assert not Wanted(shipped_map.TARGET, pictures=500).ships
    found = job(Wanted(shipped_map.TARGET, "garments"))
    assert found.atlas is stored_atlas()


def test_a_run_over_time_is_an_atlas_with_a_map_for_each_moment():
    id = "fewshot.prototypical"
    run = plan(id, method(id).params.make({}, "tiny"), Setup.make({"device": "cpu"}, "tiny"))
    assert course_atlas(run.id) is None
    assert carry_out(run.folder) == "done"
    atlas = course_atlas(run.id)
    moments, places = atlas.course
    assert len(moments) == len(places) >= 2
    seen = read(frames(atlas, Asked("course", {})))
    assert [(one[0], one[1], one[2]) for one in seen] == [(i, len(moments), 1) for i in range(len(moments))]
    np.testing.assert_allclose(seen[-1][3] / FULL, places[-1], atol=1e-4)
    assert CLIENT.get(f"/api/maps/{atlas.id}/points").status_code == 200
    assert CLIENT.get(f"/api/maps/{atlas.id}/script?map=course&colour=cluster").status_code == 200
    half = places[0, :, 0] < 0
    loop = "-2000_-2000_0_-2000_0_2000_-2000_2000"
    rows = CLIENT.get(f"/api/maps/{atlas.id}/selection?map=course&moment=0&loops={loop}").text.count("\n") - 1
    assert rows == (half & (np.abs(places[0]) < 2).all(axis=1)).sum(), "of the moment that is looked at"


def test_points_without_a_place_are_told_as_such():
    places = np.array([[0.0, 1.0], [np.nan, np.nan], [9.0, -9.0]])
    ((_, _, _, sent),) = read([fits.frame(places, 0, 1, finished=True)])
    assert sent.tolist() == [[0, FULL], [fits.ABSENT, fits.ABSENT], [2 * FULL, -2 * FULL]]


# umap-learn, by a stand-in: it is not among the lab's dependencies

STAND_IN = """
import time
import numpy as np

class UMAP:
    def __init__(self, **options):
        self.options = options

    def fit_transform(self, features):
        print("noise that must not reach the pipe")
        if self.options.get("metric") == "broken":
            raise RuntimeError("no such metric")
        if self.options.get("n_neighbors") == 99:
            time.sleep(600)
        begun = self.options.get("init", "spectral")
        return features[:, :2] * self.options.get("n_neighbors", 15) + (0 if isinstance(begun, str) else begun)
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "umap.py").write_text(STAND_IN)
    monkeypatch.syspath_prepend(tmp_path / "site")
    root = str(shipped_map.ROOT.parent)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{root}")
    yield
    umap_learn._end()
    sys.modules.pop("umap", None)


def test_umap_learn_makes_maps_in_a_process_that_stays(installed):
    atlas = toy()
    umap_learn.warm_up()
    process = umap_learn._worker
    *_, last = read(frames(atlas, Asked("umap-learn", {"n_neighbors": "7"})))
    assert last[2] == 1
    np.testing.assert_allclose(
        atlas.maps["umap-learn n_neighbors=7"].places, atlas.features.features[:, :2] * 7, rtol=1e-5
    )
    with pytest.raises(ValueError, match="umap-learn: RuntimeError: no such metric"):
        list(frames(atlas, Asked("umap-learn", {"metric": "broken"})))
    list(frames(atlas, Asked("umap-learn", {"n_neighbors": "2"})))
    assert umap_learn._worker is process
    second = toy(id="second")
    list(frames(second, Asked("umap-learn", {"n_neighbors": "7"}, "toy")))
    begun = second.maps["umap-learn n_neighbors=7 toy"].places - atlas.features.features[:, :2] * 7
    np.testing.assert_allclose(begun, atlas.maps["umap-learn n_neighbors=7"].places, rtol=1e-4)


def test_who_stops_waiting_for_umap_learn_ends_its_process(installed):
    work = frames(toy(), Asked("umap-learn", {"n_neighbors": "99"}))
    assert read([next(work)])[0][:3] == (0, 1, 0), "the principal plane, meanwhile"
    process = umap_learn._worker
    work.close()
    assert process.poll() is not None
    assert umap_learn._worker is None
    *_, last = read(frames(toy(), Asked("umap-learn", {})))
    assert last[2] == 1, "the next who asks gets another"


def test_where_umap_learn_is_not_installed_it_is_said(monkeypatch):
    monkeypatch.setattr(umap_learn, "is_installed", lambda: False)
    umap_learn.warm_up()
    with pytest.raises(ValueError, match=r"not installed here; install it with `pip install visionarium\[umap\]`"):
        next(frames(toy(), Asked("umap-learn", {})))
    monkeypatch.undo()
    monkeypatch.setattr(umap_learn, "is_installed", lambda: True)
    with pytest.raises(ValueError, match="knobs: invalid literal"):
        next(frames(toy(), Asked("umap-learn", {"n_neighbors": "many"})))
