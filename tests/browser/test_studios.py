"""The studios under the hand: sliders are dragged, patches painted, pictures picked, and the result is read."""

import json

import pytest

pytestmark = pytest.mark.browser


def alive(page):
    page.locator(".live:not(.busy) .says").filter(has_text="live ·").wait_for()


def answers(page, act):
    """The last question to the lens that `act` brings about, and the last line of its answer."""
    seen = []
    keep = lambda request: seen.append(request) if request.url.endswith("/api/lens") else None  # noqa: E731
    page.on("requestfinished", keep)
    act()
    page.wait_for_timeout(200)
    page.locator(".live:not(.busy)").wait_for()
    while not seen:
        page.wait_for_timeout(50)
    page.remove_listener("requestfinished", keep)
    return json.loads(seen[-1].post_data), json.loads(seen[-1].response().text().splitlines()[-1])


def test_the_tiles_follow_the_slider_and_keep_their_operations(visit, shots):
    page = visit("/augment")
    alive(page)
    words = page.locator(".gallery p").all_inner_texts()
    assert len(words) == 32
    assert words[0].startswith("Egyptian cat")
    slider = page.locator(".knobs input[type=range]").nth(1)

    def drag():
        slider.evaluate("s => { s.value = 25; s.oninput(); s.onchange() }")

    assert answers(page, drag)[0]["knobs"]["m"] == 25
    assert page.locator(".gallery .bar").count() == 32
    changed = page.locator(".gallery p").all_inner_texts()
    assert [one.split(" ")[0] for one in changed[1:]] == [one.split(" ")[0] for one in words[1:]]
    assert changed != words
    page.wait_for_function("location.search.includes('draws.m=25')")
    page.screenshot(path=shots / "augment.png")
    answers(page, lambda: page.locator(".pick button").nth(1).click())
    page.wait_for_function("location.search.includes('picture=1')")
    assert page.locator(".gallery p").first.inner_text().startswith("espresso")


def test_what_is_painted_is_hidden_and_a_reload_keeps_it(visit, shots):
    page = visit("/masked")
    alive(page)
    board = page.locator(".board canvas")
    board.scroll_into_view_if_needed()
    box = board.bounding_box()

    def paint():
        page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.2 * box["height"])
        page.mouse.down()
        for share in (0.3, 0.4, 0.5, 0.6, 0.7):
            page.mouse.move(box["x"] + share * box["width"], box["y"] + share * box["height"])
        page.mouse.up()

    question, told = answers(page, paint)
    painted = question["knobs"]["painted"]
    assert len(painted) == 256
    (row,) = [one["figures"][0]["columns"] for one in told["exhibits"] if "columns" in one["figures"][0]]
    assert 0.05 < row["hidden"][0] < 0.4
    page.screenshot(path=shots / "painted.png")
    page.wait_for_function(f"location.search.includes('{painted}')")
    page.reload()
    alive(page)
    again = answers(page, lambda: page.locator(".pick button").nth(2).click())
    assert again[0]["knobs"]["painted"] == painted
    cleared = answers(page, lambda: page.get_by_role("button", name="Clear").click())
    assert cleared[0]["knobs"]["painted"] == ""


def test_a_painting_grows_is_stopped_and_is_seen_again(visit, shots):
    page = visit("/style?transfer.steps=40")
    go, says, moment = page.locator(".go"), page.locator(".live .says"), page.locator(".reel input")
    go.wait_for()
    assert says.inner_text() == "stored"
    go.click()
    moment.wait_for()
    assert go.inner_text() == "Stop"
    go.click()
    says.filter(has_text="stopped").wait_for()
    seen = int(moment.get_attribute("max"))
    page.wait_for_timeout(1500)
    assert int(moment.get_attribute("max")) == seen, "it has really stopped"
    assert go.inner_text() == "Look"
    go.click()
    page.locator(".live:not(.busy) .says").filter(has_text="live").wait_for()
    assert moment.get_attribute("max") == "19"
    last = page.locator(".stage img").first.get_attribute("src")
    moment.evaluate("slider => { slider.value = 0; slider.oninput() }")
    assert page.locator(".reel output").inner_text() == "1 of 20"
    assert page.locator(".stage img").first.get_attribute("src") != last
    page.screenshot(path=shots / "style.png")


@pytest.mark.parametrize("page", ["augment", "masked", "style", "uncertainty", "views"])
def test_no_studio_asks_another_machine_for_anything(visit, server, page):
    shown = visit("/")
    asked = []
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto(f"{server.url}/{page}")
    shown.get_by_text("live", exact=True).first.wait_for()
    strange = [url for url in asked if not url.startswith((server.url, "data:", "blob:"))]
    assert len(asked) > 5
    assert strange == []
