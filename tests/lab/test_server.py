"""The server's guard and routes, asked without a browser."""

import io
import json

import pytest
import torch
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from engine.bench import Setup
from engine.catalog import method
from engine.files import replace_file, stamp
from engine.run import run as carry_out
from engine.showcase import folder
from lab import api, warm
from lab.guard import HOSTS, TOKEN, Guard
from lab.runs.run import plan
from lab.share.bring import bring

SERVER = Starlette(routes=api.ROUTES, middleware=[Middleware(Guard)])
ID = "fewshot.prototypical"


def ask(path, *, verb="GET", host="localhost:8501", **more):
    """(status, headers, body) of one request to the server."""
    client = TestClient(SERVER, base_url=f"http://{host}", follow_redirects=False)
    answer = client.request(verb, path, **more)
    return answer.status_code, answer.headers, answer.content


def refused_socket(host="localhost:8501"):
    """The code with which a WebSocket is closed before it is opened."""
    with pytest.raises(WebSocketDisconnect) as closed, TestClient(SERVER, base_url=f"http://{host}") as client:
        client.websocket_connect("/_stcore/stream").__enter__()
    return closed.value.code


@pytest.fixture(scope="module", autouse=True)
def warmed():
    warm._importing().result()


@pytest.fixture
def finished(tmp_path, monkeypatch):
    monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path))
    run = plan(ID, method(ID).params.make({}, "tiny"), Setup.make({"device": "cpu"}, "tiny"))
    assert carry_out(run.folder) == "done"
    return run


def test_fonts_are_served_with_a_policy_that_forbids_other_machines():
    status, headers, body = ask("/api/fonts/Newsreader.woff2")
    assert status == 200
    assert body[:4] == b"wOF2"
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "http" not in policy.replace("https", "http")
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/api/fonts/../icon.png", "/api/fonts/%2e%2e/icon.png", "/api/fonts//etc/passwd"])
def test_no_path_leads_out_of_the_fonts(path):
    assert ask(path)[0] == 404


def test_a_foreign_host_is_refused_for_pages_and_sockets(monkeypatch):
    assert ask("/api/fonts/Newsreader.woff2", host="evil.example")[0] == 421
    assert refused_socket("evil.example") == 4403
    monkeypatch.setenv(HOSTS, "lab.example,other")
    assert ask("/api/fonts/Newsreader.woff2", host="lab.example:80")[0] == 200
    assert ask("/api/fonts/Newsreader.woff2", host="[::1]:8501")[0] == 200


def test_beyond_this_machine_a_token_is_asked_for_once(monkeypatch):
    monkeypatch.setenv(TOKEN, "open-sesame")
    font = "/api/fonts/Newsreader.woff2"
    assert ask(font)[0] == 401
    assert ask(f"{font}?token=wrong")[0] == 401
    assert ask(font, headers={"cookie": "visionarium=wrong"})[0] == 401
    status, headers, _ = ask(f"{font}?token=open-sesame")
    assert status == 303
    assert "httponly" in headers["set-cookie"].lower()
    assert ask(font, headers={"cookie": "visionarium=open-sesame"})[0] == 200
    assert refused_socket() == 4403


def test_a_health_check_needs_no_token(monkeypatch):
    monkeypatch.setenv(TOKEN, "open-sesame")
    assert ask("/_stcore/health")[0] != 401


def lens_of(run, **more):
    looker = warm.looker(run.id, warm.stamp(run.id))
    lens = looker.lenses[0]
    body = {"target": run.id, "lens": lens.name, "images": "", "knobs": {}, "seed": 0, "dark": False}
    if lens.takes != "nothing":
        body["images"] = api.bring("some", looker.shipped(2))
    return lens, ask("/api/lens", verb="POST", json=body | more)


def test_a_lens_answers_with_all_its_exhibits(finished):
    lens, (status, _, body) = lens_of(finished)
    told = json.loads(body)
    assert status == 200, told
    assert [one["says"] for one in told["exhibits"]] == [exhibit.says for exhibit in lens.exhibits]
    assert all(
        figure.keys() <= {"mosaic", "svg", "columns", "bars", "heat"}
        for one in told["exhibits"]
        for figure in one["figures"]
    )


def test_an_answer_is_not_packed_for_that_takes_longer_than_the_wire(finished):
    app = GZipMiddleware(SERVER, minimum_size=1)
    client = TestClient(app, base_url="http://localhost:8501")
    looker = warm.looker(finished.id, warm.stamp(finished.id))
    body = {"target": finished.id, "lens": looker.lenses[0].name, "images": api.bring("some", looker.shipped(2)),
            "knobs": {}, "seed": 0, "dark": False}  # fmt: skip
    answer = client.post("/api/lens", json=body, headers={"accept-encoding": "gzip"})
    assert answer.json()["exhibits"]
    assert answer.headers["content-encoding"] == "identity"
    packed = client.get("/api/fonts/nothing", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip", "as everything else is"


def test_the_same_seed_gives_the_same_answer_and_its_script_comes_along(finished):
    first, second = (json.loads(lens_of(finished)[1][2])["exhibits"] for _ in range(2))
    assert first == second
    status, headers, body = lens_of(finished, script=0)[1]
    assert status == 200
    assert headers["content-type"].startswith("text/plain")
    compile(body, "again.py", "exec")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"lens": "nothing"}, "has no lens 'nothing'"),
        ({"knobs": {"nothing": 1}}, "there is no such knob"),
        ({"target": __file__}, "cannot be opened as a checkpoint"),
        ({"target": "../../nothing/here"}, "is no run, no checkpoint file and no method"),
        ({"script": 99}, "index"),
    ],
)
def test_a_wrong_wish_is_answered_in_words(finished, wrong, says):
    status, _, body = lens_of(finished, **wrong)[1]
    assert status == 422
    assert says in json.loads(body)["error"]


def test_only_json_is_taken_so_that_no_other_web_page_can_ask():
    assert ask("/api/lens", verb="POST", content="{}", headers={"content-type": "text/plain"})[0] == 415


def test_brought_pictures_are_forgotten_in_order():
    for i in range(api.KEPT + 1):
        api.bring(f"set {i}", torch.full((1,), i))
    with pytest.raises(ValueError, match="choose them again"):
        api.brought("set 0")
    assert api.brought(f"set {api.KEPT}").item() == api.KEPT


def test_brought_pictures_are_forgotten_by_their_bytes_but_the_newest_stays(monkeypatch):
    monkeypatch.setattr(api, "ROOM", 100)
    api.bring("first", torch.zeros(20))
    api.bring("second", torch.zeros(50))
    with pytest.raises(ValueError, match="choose them again"):
        api.brought("first")
    assert api.brought("second").nbytes == 200


def test_pictures_of_a_run_are_drawn_by_step(finished):
    step = finished.media()[-1][0]
    place = next(i for i, exhibit in enumerate(method(ID).exhibits) if type(exhibit).__name__ == "Pictures")
    status, headers, body = ask(f"/api/runs/{finished.id}/figures/{place}/{step}?dark=1")
    assert status == 200
    assert headers["content-type"] == "image/jpeg"
    assert body[:2] == b"\xff\xd8"
    assert ask(f"/api/runs/{finished.id}/figures/{place}/999999")[0] == 404
    assert ask(f"/api/runs/{finished.id}/figures/99/{step}")[0] == 404
    assert ask(f"/api/runs/..%2f..%2fetc/figures/{place}/{step}")[0] == 404


def test_a_picture_is_kept_only_under_the_stamp_of_its_file(finished):
    step, path = finished.media()[-1]
    place = next(i for i, exhibit in enumerate(method(ID).exhibits) if type(exhibit).__name__ == "Pictures")
    address = f"/api/runs/{finished.id}/figures/{place}/{step}?stamp="
    before = stamp(path)
    assert "max-age" in ask(address + before)[1]["cache-control"]
    replace_file(path, path.read_bytes())  # as a resumed run does
    assert stamp(path) != before
    assert ask(address + before)[1]["cache-control"] == "no-store"
    assert "max-age" in ask(address + stamp(path))[1]["cache-control"]


def test_exhibits_are_known_before_torch_where_a_demo_ships(monkeypatch):
    monkeypatch.setattr(warm, "is_warm", lambda: False)
    shipped = (folder(ID) / "training" / "exhibits.json").exists()
    known = [(type(exhibit), exhibit.names) for exhibit in warm.exhibits(ID)]
    assert known == ([(type(exhibit), exhibit.names) for exhibit in method(ID).exhibits] if shipped else [])


def test_a_run_is_sent_as_one_file_that_comes_back(finished, tmp_path, monkeypatch):
    status, headers, body = ask(f"/api/runs/{finished.id}/archive")
    assert status == 200
    assert headers["content-disposition"] == f'attachment; filename="{finished.id}.zip"'
    monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path / "elsewhere"))
    assert bring(io.BytesIO(body)).checkpoints()
    monkeypatch.setenv("VISIONARIUM_HOME", str(tmp_path))
    _, _, body = ask(f"/api/runs/{finished.id}/archive?checkpoints=0")
    assert not bring(io.BytesIO(body), as_copy=True).checkpoints()


def test_what_is_no_run_is_not_sent():
    assert ask("/api/runs/20200101-000000-abcd/archive")[0] == 404
