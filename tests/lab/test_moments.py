"""What takes long is kept a while: to begin from a moment of it, to film it, to have its script."""

import io
import json

import anyio
import pytest
import torch
from patience_runs import home  # noqa: F401 - a fixture
from PIL import Image
from starlette.requests import Request

from engine.method import Curves, Lens, Params, Pictures, knob
from lab import api, moments, own, reel, warm
from lab.checkpoints import open_model
from lab.looking import Looker, arrays


class GrowParams(Params):
    steps: int = knob(3, "moments", 1, 9)


def grow(model, params, images, bench, earlier=None):
    level = 0.0 if earlier is None else float(earlier["result"].mean())
    for step in range(params.steps):
        level += 0.125
        course = torch.tensor([[i, i / 8] for i in range(step + 2)], dtype=torch.float32)
        yield {"content": images, "result": torch.full_like(images, level), "error": course}


GROW = Lens(
    "Grow", GrowParams, grow, (Pictures(("content", "result"), "."), Curves(("error",), ".")), ".", takes="image",
    long=True, goes_on=True,
)  # fmt: skip


@pytest.fixture(autouse=True)
def at_home(home):  # noqa: F811
    return home


@pytest.fixture
def question(monkeypatch):
    """A question to a lens that takes long."""
    warm._importing().result()
    looker = Looker(open_model("imagenet:squeezenet"))
    monkeypatch.setattr(warm, "looker", lambda target, stamp: looker)
    monkeypatch.setattr(looker, "lens", lambda name: GROW)
    images = api.bring("one", torch.rand(1, 3, 16, 16))
    return {"target": "imagenet:squeezenet", "lens": "grow", "pick": 0, "knobs": {}, "seed": 0, "images": images,
            "dark": False}  # fmt: skip


def told(question):
    return [json.loads(line) for line in api.answers(question)]


def posted(route, body, kind="application/json", query=b""):
    """The answer of a route to a POST."""
    from starlette.requests import Request

    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def receive():
        return {"type": "http.request", "body": content, "more_body": False}

    headers = [(b"content-type", kind.encode())]
    scope = {"type": "http", "method": "POST", "headers": headers, "query_string": query, "path": "/"}
    return anyio.run(route, Request(scope, receive))


def test_a_look_begins_from_the_very_canvas_of_an_earlier_moment(question):
    lines = told(question)
    assert [line["moment"][1] for line in lines] == [0, 1, 2]
    ((_, second),) = moments.moments([lines[1]["moment"]])
    assert float(second["result"].mean()) == 0.25
    again = told(question | {"begin": lines[1]["moment"]})
    ((_, first),) = moments.moments([again[0]["moment"]])
    assert float(first["result"].mean()) == 0.375
    assert again[0]["moment"][0] != lines[0]["moment"][0]


def test_a_lens_that_does_not_go_on_says_so(question, monkeypatch):
    name = moments.begin(GROW)
    moments.keep(name, {"result": torch.zeros(1)})
    always = Lens("Anew", GrowParams, grow, GROW.exhibits, ".", takes="image", long=True)
    with pytest.raises(ValueError, match="Anew always begins anew; leave out the moment"):
        moments.begun(always, [name, 0])


@pytest.mark.parametrize("moment", [["nobody", 0], ["nobody"], 3, [["a", "b"], 0], None])
def test_a_moment_that_is_forgotten_or_none_is_said(moment):
    with pytest.raises(ValueError, match="these moments are no longer here; look again"):
        moments.moments([moment])


def test_the_oldest_answers_are_forgotten_by_their_bytes_and_shared_tensors_count_once(monkeypatch):
    monkeypatch.setattr(moments, "ROOM", 3_000)
    monkeypatch.setattr(moments, "_answers", type(moments._answers)())
    shared = torch.zeros(500)  # 2000 bytes
    old = moments.begin(GROW)
    for _ in range(5):
        assert moments.keep(old, {"content": shared, "words": ["a"]})
    assert moments._answers[old].size == 2_000
    new = moments.begin(GROW)
    moments.keep(new, {"result": torch.zeros(500)})
    assert list(moments._answers) == [new]
    assert moments.keep(old, {"content": shared}) is None, "the answer itself goes on"


def test_the_script_of_a_moment_is_made_without_looking_again(question, monkeypatch):
    lines = told(question)
    monkeypatch.setattr(GROW.params, "make", lambda values: pytest.fail("it looked again"))
    (code,) = api.answers(question | {"script": 0, "moment": lines[0]["moment"]})
    compile(code, "figure.py", "exec")
    assert "mosaic(" in code


@pytest.mark.parametrize("kind", ["webp", "gif"])
@pytest.mark.parametrize("dark", [False, True])
def test_the_moments_become_a_film(question, kind, dark):
    asked = [line["moment"] for line in told(question)]
    answer = posted(reel.film, {"moments": asked, "kind": kind, "dark": dark})
    assert answer.media_type == f"image/{kind}"
    with Image.open(io.BytesIO(answer.body)) as shown:
        assert shown.n_frames == 3
        shown.seek(2)
        last = shown.convert("RGB")
    corner = last.getpixel((2, 2))
    assert (max(corner) < 60) == dark


def test_a_film_shows_each_moment_at_its_time(question):
    reports = [arrays(report) for _, report in moments.moments([line["moment"] for line in told(question)])]
    frames = [reel.still(GROW.exhibits[0], report, False) for report in reports]
    middle = [frame.getpixel((frame.width - 20, frame.height - 20))[0] for frame in frames]
    assert middle == pytest.approx([32, 64, 96], abs=1)
    assert reel.still(GROW.exhibits[0], {"content": reports[0]["content"]}, False) is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"moments": [], "kind": "webp"}, "moments: there are none; look first"),
        ({"moments": [["x", 0]], "kind": "webp"}, "no longer here"),
        ({"moments": [], "kind": "avi"}, "kind: 'avi' is no animation; choose among gif, webp, png"),
    ],
)
def test_what_cannot_be_filmed_is_said(body, says):
    answer = posted(reel.film, body)
    assert answer.status_code == 422
    assert says in json.loads(answer.body)["error"]


def test_one_moment_is_no_film(question):
    (line,) = told(question | {"knobs": {"steps": 1}})
    answer = posted(reel.film, {"moments": [line["moment"]], "kind": "gif"})
    assert "a film needs two moments or more, and there is 1" in json.loads(answer.body)["error"]


def encoded(colour, size=(40, 20), kind="PNG"):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def brought(data, kind="application/octet-stream", query=b"name=mine.png"):
    return posted(own.picture, data, kind, query)


def test_a_picture_of_ones_own_gets_a_name_that_a_knob_can_hold():
    from engine.data.pictures import picture

    before = own.palette()["names"]
    assert before[0] == "starry_night"
    assert "chelsea" in before
    answer = brought(encoded("red", (3000, 1500)))
    given = json.loads(answer.body)
    assert given["tile"].startswith("data:image/jpeg;base64,")
    assert own.palette()["names"] == [*before, given["name"]]
    assert picture(given["name"], 32)[:, 16, 16].tolist() == pytest.approx([254, 0, 0], abs=2)
    with Image.open(given["name"]) as kept:
        assert kept.size == (1024, 512)


def test_the_pictures_to_choose_from_come_as_one_file_that_a_browser_may_keep():
    def got(address):
        return own.sheet(Request({"type": "http", "query_string": address.partition("?")[2].encode(), "headers": []}))

    before, names = own.palette()["url"], own.palette()["names"]
    with Image.open(io.BytesIO(got(before).body)) as seen:
        assert seen.size == (own.TILE, own.TILE * len(names))
    assert "immutable" in got(before).headers["cache-control"]
    brought(encoded("red"))
    assert own.palette()["url"] != before
    assert got(before).headers["cache-control"] == "no-store"
    with Image.open(io.BytesIO(got(own.palette()["url"]).body)) as seen:
        assert seen.getpixel((10, seen.height - 10)) == pytest.approx((254, 0, 0), abs=2)


def test_the_same_picture_is_kept_once_and_only_the_last_ones(monkeypatch):
    monkeypatch.setattr(own, "KEPT", 2)
    names = [json.loads(brought(encoded(colour)).body)["name"] for colour in ("red", "red", "green", "blue")]
    assert names[0] == names[1]
    assert len(own.own()) == 2
    assert names[3] in map(str, own.own())


def test_what_is_no_picture_is_refused_with_its_name():
    answer = brought(b"%PDF-1.4 and so on")
    assert answer.status_code == 422
    assert json.loads(answer.body)["error"].startswith("mine.png: is not a picture but a PDF document")
    assert brought(encoded("red"), kind="text/plain").status_code == 415
