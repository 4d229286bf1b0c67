"""One slider moves all that a run left: curves' cursor, pictures, the map; the keyboard and Play do the same."""

import json
import os
import subprocess
import sys
import time

import pytest

from engine.bench import Setup
from engine.catalog import method
from engine.folder import plan_run
from engine.record import media, probes

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ID = "fewshot.prototypical"
RUN = "20200101-120000-00ff"


@pytest.fixture(scope="module")
def run(server):
    """A run of 60 steps with 12 looks, carried out in a process of its own."""
    folder = server.home / "runs" / RUN
    params = method(ID).params.make({"steps": 60}, "tiny")
    plan_run(folder, ID, params, Setup.make({"device": "cpu", "looks": 12}, "tiny"), "sixty steps")
    code = f"from pathlib import Path; from engine.run import run; print(run(Path({str(folder)!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert done.stdout.endswith("done\n"), done.stderr
    assert [step for step, _ in media(folder)] == [step for step, _ in probes(folder)] == list(range(5, 65, 5))
    return folder


@pytest.fixture
def machine(run, visit):
    page = visit(f"/run?id={RUN}")
    page.locator(".map figcaption", has_text="variance").wait_for()
    return page


def look(page):
    """Where the cursor, the picture and the points are."""
    return {
        "cursor": page.locator(".curves .cursor").first.get_attribute("x1"),
        "picture": page.locator(".stage img").first.get_attribute("src"),
        "map": page.locator(".map canvas").evaluate("canvas => canvas.toDataURL()"),
        "label": page.locator(".bar output").text_content(),
    }


def hold(page, share):
    """Bring the mouse to a place on the slider."""
    box = page.locator(".bar input").bounding_box()
    page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)


def test_a_drag_moves_cursor_picture_and_map_without_asking_the_page(machine, shots):
    page = machine
    before = look(page)
    assert before["label"] == "step 60"
    spoken = []
    page.on("websocket", lambda socket: socket.on("framesent", spoken.append))
    hold(page, 0.99)
    page.mouse.down()
    seen = [before]
    for share in (0.8, 0.5, 0.2):
        hold(page, share)
        page.wait_for_timeout(100)
        seen.append(look(page))
    for name in ("cursor", "picture", "map", "label"):
        assert len({one[name] for one in seen}) == 4, name
    assert spoken == []
    cursors = [float(one["cursor"]) for one in seen]
    assert cursors == sorted(cursors, reverse=True)
    page.mouse.up()
    page.screenshot(path=shots / "time-machine.png")


def test_the_keyboard_steps_and_play_runs_to_the_end(machine):
    page = machine
    page.locator(".bar input").focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert look(page)["label"] == "step 45"
    page.locator(".map canvas").click()
    page.get_by_role("button", name="Play", exact=True).click()
    played, end = [], time.monotonic() + 60
    while not played or played[-1]["label"] != "step 60":
        assert time.monotonic() < end
        played.append(look(page))
    page.get_by_role("button", name="Play", exact=True).wait_for()
    stored = {look(page)["map"]}
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
        stored.add(look(page)["map"])
    assert {one["map"] for one in played} - stored, "points are on their way between two steps"


def test_a_point_shows_its_picture_and_class(machine, run):
    page = machine
    box = page.locator(".map canvas").bounding_box()
    hint = page.locator(".map .hint")
    for i in range(20):  # over the middle, where points are
        page.mouse.move(box["x"] + box["width"] * (0.3 + 0.02 * i), box["y"] + box["height"] / 2)
        if hint.is_visible():
            break
    assert hint.is_visible()
    assert hint.text_content() in json.dumps(list(told(page, "names").values()), ensure_ascii=False)
    assert "thumbnails" in hint.locator("div").evaluate("face => face.style.backgroundImage")


def told(page, name):
    return page.evaluate(f"async () => (await (await fetch('/api/runs/{RUN}/map')).json()).{name}")


def test_pointing_at_a_curve_goes_to_the_stored_step_next_to_it(machine):
    page = machine
    box = page.locator(".curves svg").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2)
    step = int(look(page)["label"].removeprefix("step "))
    assert 10 <= step <= 20
    assert step % 5 == 0
