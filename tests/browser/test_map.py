"""The map under the hand: loops are counted, classes stand alone, a slider moves points, a round is played."""

import csv
import io
import json
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest

from engine.ops.polygon import inside
from lab.atlas import stored_atlas

pytestmark = pytest.mark.browser
READY = ".cloud[data-ready]:not([data-ready=''])"
SLOW = 180_000
"""Milliseconds for torch to be loaded, a model opened and two maps made, on a busy machine."""


def alive(page):
    page.locator(READY).wait_for(timeout=SLOW)
    page.wait_for_function("!document.querySelector('[data-test-script-state=running]')")


def field(page):
    """The place of the map on the screen, once all of it is seen."""
    page.locator(".field").scroll_into_view_if_needed()
    page.wait_for_timeout(200)
    return page.locator(".over").bounding_box()


def drag(page, *spots):
    """Hold the button from the first to the last of these shares of the map's width and height."""
    box = field(page)
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in spots]
    page.mouse.move(*at[0])
    page.mouse.down()
    for spot in at[1:]:
        page.mouse.move(*spot, steps=5)
    page.mouse.up()


def counted(page):
    """(chosen, of) as the page says."""
    chosen, of = page.locator(".count").inner_text().replace(",", "").split(" of ")
    return int(chosen), int(of)


def query(page):
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def corners(told):
    return [np.array(loop.split("_"), float).reshape(-1, 2) / 1000 for loop in told.split("~")]


def in_address(page, name, there=True):
    page.wait_for_function(f"location.search.includes('{name}=') === {json.dumps(there)}")


LOOP = ((0.05, 0.55), (0.55, 0.55), (0.55, 0.97), (0.05, 0.97))


def test_a_loop_is_counted_is_shown_and_is_kept_in_the_address(visit, shots):
    page = visit("/map")
    alive(page)
    assert page.locator(".badge").inner_text() == "stored map"
    page.keyboard.press("l")
    page.locator(".tool").click()
    drag(page, *LOOP)
    chosen, of = counted(page)
    assert of == 1000
    assert 0 < chosen < 1000
    in_address(page, "loops")
    plane = stored_atlas().maps["umap"].drawn
    marks = inside(plane, corners(query(page)["loops"])[0])
    assert abs(int(marks.sum()) - chosen) <= 2, "the lab counts as the browser does"
    by_class = [int(word) for word in page.locator(".bars b").all_inner_texts()]
    assert sum(by_class) == chosen
    tiles = page.locator(".tiles button")
    tiles.nth(23).wait_for()
    assert tiles.count() == 24
    first = tiles.first.get_attribute("data-point")
    assert marks[int(first)]
    page.screenshot(path=shots / "map-loop.png", full_page=True)
    page.locator(".field").click(position={"x": 5, "y": 5}, trial=True)
    page.locator(".cloud").focus()
    page.keyboard.press("ArrowRight")
    page.get_by_text("2 of ").wait_for()
    page.wait_for_function(f"{TILE_OF} !== '{first}'")
    table = list(csv.DictReader(io.StringIO(page.request.get(page.locator(".csv").evaluate("a => a.href")).text())))
    assert abs(len(table) - chosen) <= 2
    page.reload()
    alive(page)
    page.wait_for_function("location.search.includes('loops=')")
    assert counted(page) == (chosen, of), "a reload keeps the selection"
    page.locator(".cloud").focus()
    page.keyboard.press("Escape")
    in_address(page, "loops", there=False)
    page.locator(".selection").wait_for(state="hidden")


TILE_OF = """(() => { const find = (node) => { for (const one of node.querySelectorAll('*')) {
  if (one.matches('.tiles button')) return one
  const found = one.shadowRoot && find(one.shadowRoot)
  if (found) return found } }; return find(document)?.dataset.point })()"""


def test_shift_adds_a_loop_and_a_plain_drag_moves_the_map(visit):
    page = visit("/map")
    alive(page)
    page.keyboard.down("Shift")
    drag(page, *LOOP)
    one, _ = counted(page)
    drag(page, (0.6, 0.5), (0.97, 0.5), (0.97, 0.99), (0.6, 0.99))
    page.keyboard.up("Shift")
    both, _ = counted(page)
    assert both > one > 0
    page.wait_for_function("location.search.includes('%7E') || location.search.includes('~')")
    plane = stored_atlas().maps["umap"].drawn
    marks = np.any([inside(plane, loop) for loop in corners(query(page)["loops"])], axis=0)
    assert abs(int(marks.sum()) - both) <= 2
    drag(page, (0.5, 0.3), (0.6, 0.4))
    assert counted(page)[0] == both, "moving the map selects nothing"


def test_a_class_stands_alone_and_its_points_alone_are_selected(visit, shots):
    page = visit("/map")
    alive(page)
    entry = page.locator(".legend button").filter(has_text="bag")
    of = int(entry.locator("b").inner_text())
    entry.click()
    in_address(page, "only")
    page.keyboard.down("Shift")
    drag(page, (0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99))
    page.keyboard.up("Shift")
    assert counted(page)[1] == of
    assert page.locator(".bars span").all_inner_texts()[0].startswith("bag")
    assert page.locator(".bars span").count() == 1
    page.screenshot(path=shots / "map-alone.png")
    entry.click()
    in_address(page, "only", there=False)
    page.locator(".cloud select").select_option("uncertainty")
    in_address(page, "colour")
    page.locator(".ramp").wait_for()


def test_a_point_shows_its_picture_and_its_neighbours_and_a_tile_marks_its_point(visit, shots):
    page = visit("/map")
    alive(page)
    box, plane = field(page), stored_atlas().maps["umap"].drawn
    page.locator(".cloud select").select_option("label")
    found = None
    for y in np.arange(0.55, 0.97, 0.02):
        page.mouse.move(box["x"] + 0.25 * box["width"], box["y"] + y * box["height"])
        if page.locator(".card:not([hidden]) .strip button").count():
            found = True
            break
        page.wait_for_timeout(80)
    assert found, f"no point among {len(plane)} on the way of the pointer"
    assert page.locator(".strip button").count() == 8
    page.screenshot(path=shots / "map-card.png")
    page.keyboard.down("Shift")
    drag(page, *LOOP)
    page.keyboard.up("Shift")
    tile = page.locator(".tiles button").nth(2)
    tile.click()
    point = int(tile.get_attribute("data-point"))
    name = stored_atlas().features.classes[stored_atlas().features.labels[point]]
    page.locator(".card strong").filter(has_text=name).wait_for()
    page.locator(".card p").filter(has_text="Esc lets go").wait_for()


def test_the_slider_moves_points_from_one_model_to_the_other(visit, shots):
    page = visit("/map?other=representation.moco&pictures=200")
    page.get_by_text("Meanwhile, the map that ships").wait_for()
    page.locator(".morph:not([hidden])").wait_for(timeout=SLOW)
    alive(page)
    assert page.locator(".badge").inner_text().startswith("live")
    assert page.locator(".measures b").count() == 6
    slider, said = page.locator(".morph input"), page.locator(".morph output")
    assert slider.get_attribute("max") == "1"

    def seen(at):
        slider.evaluate(f"slider => {{ slider.value = {at}; slider.oninput(); slider.onchange() }}")
        page.wait_for_timeout(300)
        page.screenshot(path=shots / f"map-morph-{at}.png")
        return said.inner_text(), page.locator(".points").screenshot()

    (one, at_a), (_, between), (two, at_b) = seen(0), seen(0.5), seen(1)
    assert one.startswith("RandAugment")
    assert two.startswith("Momentum contrast")
    assert at_a != between != at_b
    in_address(page, "at")
    assert seen(0)[1] == at_a, "and back to where they were"


def test_a_knob_makes_the_map_anew_and_it_can_be_stopped(visit):
    page = visit("/map")
    alive(page)
    page.get_by_role("button", name="Knobs").wait_for(timeout=SLOW)
    page.goto(page.url.split("?")[0] + "?umap.epochs=5000")
    stop = page.locator(".stop")
    stop.wait_for(timeout=SLOW)
    page.locator(".status").filter(has_text="of 5000").wait_for(timeout=SLOW)
    stop.click()
    page.locator(".status").filter(has_text="stopped").wait_for()


def test_a_round_is_played_by_the_arrow_keys(visit, shots):
    page = visit("/map?part=Learnability&trials=6")

    def press(key, then):
        page.wait_for_function("!document.querySelector('[data-test-script-state=running]')")
        page.keyboard.press(key)
        page.get_by_text(then).wait_for()

    page.get_by_role("button", name="Left one").click()  # keys are heard a moment after the buttons are there
    page.get_by_text("2 of 6").wait_for()
    press("ArrowLeft", "3 of 6")
    press("Backspace", "2 of 6")
    for i, key in enumerate(["ArrowRight", "ArrowLeft", "ArrowRight", "ArrowLeft"]):
        press(key, f"{i + 3} of 6")
    press("ArrowRight", "You were right")
    page.get_by_text("You were right").wait_for()
    page.screenshot(path=shots / "game.png", full_page=True)
    with page.expect_download() as told:
        page.get_by_role("button", name="Answers as CSV").click()
    rows = list(csv.DictReader(io.StringIO(told.value.path().read_text())))
    assert [row["answer"] for row in rows] == ["left", "right"] * 3
    right = sum(row["answer"] == row["member"] for row in rows)
    page.get_by_text(f"You were right {right} times of 6").wait_for()
