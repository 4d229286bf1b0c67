"""Runs side by side in a real browser: the slider moves all pictures, one opens large, two are swiped."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import expect

from engine.bench import Setup
from engine.catalog import method
from engine.run import run as carry_out
from lab.runs.run import plan

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ID = "representation.mae"


@pytest.fixture
def two(server, monkeypatch):
    monkeypatch.setenv("VISIONARIUM_HOME", str(server.home))
    runs = []
    for name, steps in (("short", 4), ("long", 8)):
        params = method(ID).params.make({"steps": steps}, "tiny")
        runs.append(plan(ID, params, Setup.make({"device": "cpu", "looks": 4}, "tiny"), name))
        assert carry_out(runs[-1].folder) == "done"
    return ",".join(run.id for run in runs)


MOVE = """async (slider) => {
    const cells = [...slider.getRootNode().querySelectorAll(".cells canvas")]
    const seen = () => cells.map((one) => one.toDataURL()).join()
    const took = []
    for (let at = slider.max - 1; at >= 0; at--) {
        await new Promise((next) => setTimeout(next, 400))
        const before = seen(), began = performance.now()
        slider.value = at
        slider.dispatchEvent(new Event("input"))
        await new Promise(requestAnimationFrame)
        took.push(performance.now() - began)
        if (seen() === before) return `nothing changed at ${at}`
    }
    return took
}"""


def test_one_slider_moves_all_pictures_and_a_click_enlarges_them(visit, two, shots):
    page = visit(f"/compare?runs={two}&part=Pictures")
    page.locator(".cells canvas").first.wait_for()
    heads = page.locator(".cells small")
    page.wait_for_function("true")
    assert heads.all_text_contents() == ["step 4", "step 8"]
    took = page.get_by_role("slider", name="step", exact=True).evaluate(MOVE)
    print("\nslider to pictures:", took)
    assert isinstance(took, list), took
    assert min(took) < 100
    assert heads.first.text_content() == "step 1"
    page.locator(".cells canvas").nth(3).click()
    large = page.locator("dialog")
    assert large.get_by_text("Picture 2").is_visible()
    assert large.locator(".large canvas").count() == 2
    page.screenshot(path=shots / "compare-large.png")
    large.get_by_role("button", name="Next").click()
    assert large.get_by_text("Picture 3").is_visible()
    large.get_by_role("button", name="Swipe two").click()
    canvas = large.locator(".two canvas")
    page.wait_for_timeout(500)
    before = canvas.evaluate("(one) => one.toDataURL()")
    large.get_by_role("slider", name="swipe").fill("0.1")
    assert canvas.evaluate("(one) => one.toDataURL()") != before
    page.screenshot(path=shots / "compare-swipe.png")
    page.keyboard.press("Escape")
    assert not large.is_visible()


def test_chosen_runs_go_from_the_list_to_the_comparison(visit, two, shots):
    page = visit("/runs")
    for id in two.split(","):
        page.locator(f".st-key-chosen-{id} label").click()
    began = time.monotonic()
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="Side by side").wait_for()
    page.locator(".curves svg").first.wait_for()
    print(f"\nfrom the list to the curves: {time.monotonic() - began:.2f} s")
    assert all(id in page.url for id in two.split(","))
    page.screenshot(path=shots / "compare-curves.png")


def test_the_last_of_quick_clicks_on_tabs_is_the_one_that_counts(visit, two):
    page = visit(f"/compare?runs={two}")
    page.locator(".curves svg").first.wait_for()
    signs = {"Curves": ".curves svg", "Pictures": ".matrix", "Settings": "text=Differences only"}
    for clicks in (["Pictures", "Settings"], ["Curves", "Settings"], ["Pictures", "Curves"], ["Settings", "Curves"]):
        for name in clicks:
            page.get_by_role("tab", name=name).click()
        page.locator(signs[clicks[-1]]).first.wait_for()
        for name in signs.keys() - {clicks[-1]}:
            expect(page.locator(signs[name])).to_have_count(0)
        asked = re.compile(f"part={clicks[-1]}" if clicks[-1] != "Curves" else r"^((?!part=).)*$")
        expect(page).to_have_url(asked)
        expect(page.get_by_role("tab", name=clicks[-1])).to_have_attribute("aria-selected", "true")


def test_a_curve_tells_whose_it_is_under_the_pointer(visit, two, shots):
    page = visit(f"/compare?runs={two}")
    figure = page.locator(".curves").first
    box = figure.locator("svg").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.5)
    expect(figure.locator(".legend span")).to_contain_text(re.compile(r"long · step 5"))
    expect(figure.locator("g.aside")).to_have_count(1)
    page.screenshot(path=shots / "compare-pointed.png")
    with page.expect_download() as download:
        figure.get_by_role("link", name="Script").click()
    assert "vl_convert" in Path(download.value.path()).read_text()
