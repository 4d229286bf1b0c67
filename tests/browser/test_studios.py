"""The studios under the hand: sliders are dragged, patches painted, pictures picked, and the result is read."""

import json
from urllib.parse import quote

import pytest
from PIL import Image
from under_hand import alive, answers, last, pictured

from engine.showcase import folder

SHIPPED = str(folder("representation.mae") / "checkpoint.safetensors")

pytestmark = pytest.mark.browser


DROPPED = """() => {
  const live = [...document.querySelectorAll("*")].map((one) => one.shadowRoot?.querySelector(".live")).find(Boolean)
  return (live ?? document.querySelector(".live"))?.querySelectorAll(".gallery > div").length === 9
}"""


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


def test_the_keyboard_alone_paints_drags_and_picks(visit, shots):
    page = visit("/masked")
    alive(page)
    board = page.locator(".board canvas")
    page.get_by_role("button", name="Clear").focus()
    page.keyboard.press("Tab")
    assert board.evaluate("one => one.getRootNode().activeElement === one"), "the board comes after its button"
    assert board.evaluate("one => getComputedStyle(one).outlineStyle") == "solid", "and is seen to have the focus"
    page.keyboard.press("ArrowLeft")
    first = answers(page, lambda: page.keyboard.press("Space"))[0]["knobs"]["painted"]
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    assert answers(page, lambda: page.keyboard.press("Space"))[0]["knobs"]["painted"] not in ("", first)
    page.screenshot(path=shots / "keyboard.png")
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    answers(page, lambda: page.keyboard.press("Space"))
    page.keyboard.press("Tab")
    slider = page.locator(".knobs input[type=range]").first
    assert slider.evaluate("one => one.getRootNode().activeElement === one")
    before = float(slider.input_value())
    assert answers(page, lambda: page.keyboard.press("ArrowLeft"))[0]["knobs"]["ratio"] < before
    page.wait_for_function("location.search.includes('reconstruct.ratio')")
    assert slider.evaluate("one => one.getRootNode().activeElement === one"), "a rerun leaves the focus where it is"


def row(told, first):
    """The row of an answer's table whose first cell is `first`."""
    (table,) = [one["figures"][0]["columns"] for one in told["exhibits"] if "columns" in one["figures"][0]]
    name, *others = table
    place = table[name].index(first)
    return {other: table[other][place] for other in others}


def test_more_passes_count_from_memory_and_the_line_moves(visit, shots):
    page = visit("/uncertainty")
    alive(page)
    page.locator(".stage line.here").first.wait_for(state="attached")
    slider = page.locator(".knobs input[type=range]").first
    drag = "(s, to) => { s.value = to; s.oninput(); s.onchange() }"
    places, drawn, took = [], [], []
    for to in (3, 12, 30):
        question, told = answers(page, lambda to=to: slider.evaluate(drag, to))
        assert question["knobs"]["passes"] == to
        assert page.locator(".live .says").inner_text() == f"live · {told['milliseconds']} ms"
        places.append(float(page.locator(".stage line.here").first.get_attribute("x1")))
        drawn.append(pictured(page))
        took.append(told["milliseconds"])
    assert places == sorted(set(places)), "the line that marks how many count goes to the right"
    assert len(set(drawn)) == 3, "the maps are others each time"
    print("milliseconds of a dragged number of passes:", took)
    page.screenshot(path=shots / "uncertainty.png")
    page.wait_for_function("location.search.includes('pixel-by-pixel.passes=30')")


def test_what_is_replayed_is_asked_for_before_the_hand_drags_and_nothing_is_asked_while_it_does(visit):
    page = visit("/uncertainty?model=uncertainty.deep_ensembles")
    alive(page)
    asked = []
    page.on("requestfinished", lambda request: asked.append(request) if request.url.endswith("/api/lens") else None)
    slider = page.locator(".knobs input[type=range]").first
    assert (slider.get_attribute("max"), slider.input_value()) == ("5", "5")
    drawn = [pictured(page)]
    slider.hover()
    while len(asked) < 4:
        page.wait_for_timeout(50)
    assert [json.loads(request.post_data)["knobs"]["networks"] for request in asked] == [4, 3, 2, 1]
    page.wait_for_timeout(200)
    for count in (4, 3, 2, 1):
        slider.press("ArrowLeft")
        drawn.append(pictured(page))
        page.wait_for_function(f"location.search.includes('doubt.networks={count}')")
    assert page.locator(".live .says").inner_text() == f"live · {last(asked)['milliseconds']} ms"
    slider.press("End")
    assert pictured(page) == drawn[0], "the answer that stood there before is one of them"
    page.wait_for_function("!location.search.includes('networks')")
    assert len(asked) == 4


def test_the_cut_off_refuses_as_many_pictures_as_it_says(visit, shots):
    page = visit("/uncertainty?model=uncertainty.mc_dropout&lens=Refusal&refusal.tested=200")
    alive(page)
    slider = page.locator(".knobs input[type=range]").nth(1)
    for share, refused in ((0.95, 10), (0.5, 100)):
        drag = f"s => {{ s.value = {share}; s.oninput(); s.onchange() }}"
        told = answers(page, lambda drag=drag: slider.evaluate(drag))[1]
        assert row(told, "refused")["pictures"] == refused
        assert row(told, "answered")["pictures"] == 200 - refused
        assert row(told, "answered")["wrong"] + row(told, "refused")["wrong"] == row(told, "all")["wrong"]
        shown = [grid.locator("> div").count() for grid in page.locator(".gallery").all()]
        assert shown == [min(16, refused), 16]
    assert row(told, "answered")["share wrong"] < row(told, "all")["share wrong"]
    page.screenshot(path=shots / "refusal.png")


def test_a_picture_that_is_dropped_into_the_tray_gets_its_place(visit, shots, tmp_path):

    path = tmp_path / "chequered.png"
    Image.effect_noise((60, 60), 120).save(path)
    page = visit("/uncertainty?model=uncertainty.mc_dropout&lens=Strangers&strangers.tested=200")
    alive(page)
    assert page.locator(".gallery > div").count() == 16, "eight of its own kind, and eight of another"
    page.get_by_text("Upload", exact=True).click()
    page.locator("input[type=file]").set_input_files(path)
    page.wait_for_function(DROPPED)
    alive(page)
    words = page.locator(".gallery > div").first.locator("p").all_inner_texts()
    assert words[0] in ("as any it knows", "unusual", "strange to it")
    assert words[1].startswith("above ")
    page.screenshot(path=shots / "tray.png")


def test_two_models_follow_one_slider(visit, shots):
    page = visit("/masked?model=representation.mae&beside=representation.mae")
    alive(page)
    assert page.locator(".stages section").count() == 1, "one model beside itself is one model"
    page = visit(f"/masked?model=representation.mae&beside={quote(SHIPPED)}")
    other = page.locator(".stages section").nth(1)
    other.locator("output").filter(has_text="live ·").wait_for()
    alive(page)
    before = page.locator(".stage table").all_inner_texts()
    assert len(before) == 2
    assert before[0] == before[1], "the same weights, under another name, say the same"
    seen = []
    page.on("request", lambda request: seen.append(request) if request.url.endswith("/api/lens") else None)
    slider = page.locator(".knobs input[type=range]").first
    slider.evaluate("s => { s.value = 0.5; s.oninput(); s.onchange() }")
    page.wait_for_function("location.search.includes('reconstruct.ratio=0.5')")
    for i in range(2):
        page.locator(".stage table").nth(i).filter(has_text="0.5102").wait_for()
    after = page.locator(".stage table").all_inner_texts()
    assert after[0] == after[1] != before[0]
    asked = [json.loads(request.post_data) for request in seen[-2:]]
    assert {one["target"] for one in asked} == {"representation.mae", SHIPPED}
    assert asked[0]["knobs"] == asked[1]["knobs"]
    page.screenshot(path=shots / "beside.png")


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
