"""What a visitor does, in a real browser: plays, trains, loses the server, finds everything again."""

import json
import re
import time

import pytest

from engine import catalog
from engine.record import rows
from lab.runs.run import Run

pytestmark = [pytest.mark.browser, pytest.mark.slow]
METHOD = "fewshot.prototypical"


def fill_number(page, label, value):
    field = page.get_by_role("spinbutton", name=re.compile(f"^{label}")).first
    field.fill(str(value))
    field.press("Enter")


def settled(page):
    """Wait until Streamlit has nothing more to draw."""
    page.wait_for_function("!document.querySelector('[data-test-script-state=running], [data-stale=true]')")


def planned(server):
    """The folders of all runs, once their plan is written."""
    return {path.parent for path in (server.home / "runs").glob("2*/run.json")}


def started_run(server, before=frozenset()):
    """The run that was started since these folders were there."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := planned(server) - before:
            return Run(max(found))
        time.sleep(0.1)
    raise TimeoutError("no run was started")


def until(says, seconds=120):
    """Wait until `says()` is true."""
    end = time.monotonic() + seconds
    while not says():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.2)


def test_a_first_visit_leads_to_play_in_two_clicks(visit, shots):
    page = visit("/")
    for door in ("Teach", "Explore", "Debug"):
        page.get_by_role("heading", name=door, exact=True).wait_for()
    page.screenshot(path=shots / "home.png")
    page.get_by_role("link", name="Open it").click()
    page.get_by_text("stored answer").or_(page.get_by_text("live", exact=True)).first.wait_for()
    page.locator("[data-testid=stImage] img, .stage img, .stage .part").first.wait_for()
    page.get_by_text("live", exact=True).first.wait_for()
    page.screenshot(path=shots / "play.png")


def test_a_lens_follows_the_hand(visit, shots):
    page = visit("/method?id=augmentation.randaugment&lens=Draws")
    live = page.locator(".live .says")
    live.filter(has_text="live ·").wait_for()
    picture = page.locator(".stage .part").nth(3)
    before = picture.get_attribute("style")
    asked = []
    page.on("request", lambda request: asked.append(request) if request.url.endswith("/api/lens") else None)
    slider = page.locator(".knobs input[type=range]").nth(1)
    box = slider.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share in (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.99):
        page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
        page.wait_for_timeout(60)
    until(lambda: picture.get_attribute("style") != before)
    page.mouse.up()
    until(lambda: asked and json.loads(asked[-1].post_data)["knobs"]["m"] == int(slider.input_value()))
    settled(page)
    until(lambda: f"draws.m={slider.input_value()}" in page.url)
    page.get_by_text("As a command").click()
    page.locator("code", has_text=f"--m {slider.input_value()}").wait_for()
    page.screenshot(path=shots / "drag.png")


def test_train_from_the_form_then_look_through_the_result(visit, server, shots):
    page = visit(f"/method?id={METHOD}&part=Train")
    page.get_by_role("radio", name="tiny").click()
    page.get_by_text("--preset tiny").wait_for()
    before = planned(server)
    page.get_by_label("Name of the run").fill("from the form")
    page.get_by_label("Name of the run").press("Enter")
    page.get_by_role("button", name="Start training").click()
    run = started_run(server, before)
    page.get_by_text("done", exact=True).first.wait_for()
    page.locator(".curves svg .line").first.wait_for()
    assert run.state == "done"
    page.screenshot(path=shots / "trained.png")
    page.get_by_role("link", name="Runs").first.click()
    page.get_by_role("link", name="from the form").click()
    page.get_by_role("tab", name="Look").click()
    page.get_by_text("live", exact=True).first.wait_for()
    page.screenshot(path=shots / "looked.png")


def test_a_killed_server_loses_no_run(visit, server, shots):
    page = visit(f"/method?id={METHOD}&part=Train")
    page.get_by_role("radio", name="tiny").click()
    page.get_by_text("--preset tiny").wait_for()
    fill_number(page, "steps", 40000)
    page.get_by_text("--steps 40000").wait_for()
    before = planned(server)
    page.get_by_role("button", name="Start training").click()
    run = started_run(server, before)
    until(lambda: len(rows(run.folder)) > 5)
    server.kill()
    steps = len(rows(run.folder))
    until(lambda: len(rows(run.folder)) > steps + 5)
    server.start()
    page = visit(f"/run?id={run.id}")
    page.get_by_text("running", exact=True).first.wait_for()
    page.screenshot(path=shots / "again.png")
    page.get_by_role("button", name="Cancel").click()
    until(lambda: run.state == "cancelled")
    page.get_by_text("cancelled", exact=True).first.wait_for()
    assert run.checkpoints()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_page_opens(visit, server, shots, dark):
    page = visit("/", dark)
    for path in ("/", "/methods", "/runs", "/checkpoint", "/data"):
        page.goto(server.url + path)
        page.wait_for_selector("h1")
        settled(page)
        assert page.locator("[data-testid=stException]").count() == 0
        page.screenshot(path=shots / f"page-{path.strip('/') or 'home'}-{'dark' if dark else 'light'}.png")
    for id in catalog.ids()[:: 4 if dark else 1]:
        page.goto(f"{server.url}/method?id={id}&part=Idea")
        page.get_by_role("heading", name="How it trains").wait_for()
        assert page.locator("[data-testid=stException]").count() == 0


def test_changing_the_page_is_quick(visit):
    page = visit("/")
    settled(page)
    took = []
    for name in ("Methods", "Runs", "Data", "Methods"):
        began = time.monotonic()
        page.get_by_role("link", name=name, exact=True).first.click()
        page.get_by_role("heading", name=name, exact=True).first.wait_for()
        took.append(time.monotonic() - began)
    print("\npage changes:", ", ".join(f"{seconds:.2f} s" for seconds in took))
    assert min(took) < 1.0
