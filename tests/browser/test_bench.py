"""Views are toggled, two networks stand on the lens bench, a small sweep is started: with the hand, and read."""

import json

import pytest
from browser.test_studios import alive, answers

pytestmark = pytest.mark.browser


def test_a_toggled_view_changes_the_merged_answer(visit, shots):
    page = visit("/views")
    alive(page)
    before = page.locator(".stage table").first.inner_text()
    assert "8 views together" in before
    chip = page.locator(".chips button", has_text="upside down")

    question, told = answers(page, chip.click)
    assert "upside down" in question["knobs"]["views"]
    (bars,) = [one["figures"][0]["bars"] for one in told["exhibits"] if "labels" in one["figures"][0].get("bars", {})]
    assert [one["name"] for one in bars["series"]] == ["as it is", "merged"]
    after = page.locator(".stage table").first.inner_text()
    assert "9 views together" in after
    assert page.locator(".heat tr").count() == 10
    page.wait_for_function("location.search.includes('fan.views=upside')")
    page.screenshot(path=shots / "views.png")
    page.reload()
    alive(page)
    assert "9 views together" in page.locator(".stage table").first.inner_text()


def test_two_networks_answer_the_same_picture_and_their_differences_stand_out(visit, shots):
    page = visit("/bench?picture=2")
    page.locator(".bench:not(.busy) .verdict").filter(has_text="pictures").wait_for()
    page.locator(".sides .rows").nth(3).wait_for()
    assert page.locator(".sides h3").all_inner_texts() == [
        "A · Monte-Carlo dropout · the shipped demo", "B · RandAugment · the shipped demo",
    ]  # fmt: skip
    assert page.locator(".sides .gallery").count() == 2
    assert page.locator(".sides .mosaic").count() == 2
    asked = []
    page.on("request", lambda request: asked.append(request) if request.url.endswith("/api/lens") else None)
    page.locator(".knobs input[type=range]").nth(1).evaluate("s => { s.value = 28; s.oninput(); s.onchange() }")
    page.wait_for_function("location.search.includes('at-a-glance.m=28')")
    page.locator(".bench:not(.busy)").wait_for()
    told = [json.loads(request.post_data) for request in asked]
    assert {one["target"] for one in told} == {"uncertainty.mc_dropout", "augmentation.randaugment"}
    assert {one["knobs"]["m"] for one in told} == {28}
    assert {one["seed"] for one in told} == {0}
    first = page.locator(".sides .called").all_inner_texts()
    page.locator(".pick button").nth(0).click()
    page.wait_for_function("!location.search.includes('picture=')")
    assert page.locator(".sides .called").all_inner_texts() != first
    page.screenshot(path=shots / "bench.png")


def test_the_small_sweep_starts_and_its_map_fills(visit, shots):
    page = visit("/augment?part=Which+N+and+M%3F")
    page.get_by_text("The best M by size").wait_for()
    page.get_by_role("button", name="Start the small sweep").click()
    page.get_by_text("of 32 runs done").first.wait_for()
    page.get_by_role("button", name="Stop the rest").wait_for()
    page.screenshot(path=shots / "grid.png")
    page.get_by_role("button", name="Stop the rest").click()
    page.get_by_role("button", name="Resume").wait_for(timeout=120_000)
