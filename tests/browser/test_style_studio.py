"""The style studio under the hand: a painting grows, is stopped, branches, is taken home; manners are mixed."""

import json

import pytest
from PIL import Image
from under_hand import alive, answers, pictured

pytestmark = pytest.mark.browser


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
    assert moment.get_attribute("max") == "20"
    last = pictured(page)
    moment.evaluate("slider => { slider.value = 0; slider.oninput() }")
    assert page.locator(".reel output").inner_text() == "1 of 21"
    assert pictured(page) != last
    page.screenshot(path=shots / "style.png")


def to(page, moment):
    page.locator(".reel input[type=range]").evaluate(f"slider => {{ slider.value = {moment}; slider.oninput() }}")


def test_a_painting_branches_from_a_moment_and_both_looks_stay(visit, shots):
    page = visit("/style?transfer.steps=4&transfer.size=64")
    go, on, output = page.locator(".go"), page.locator(".reel button").nth(1), page.locator(".reel output")
    go.click()
    output.filter(has_text="5 of 5").wait_for()
    alive(page)
    assert on.inner_text() == "Go on"
    to(page, 2)
    assert on.inner_text() == "Branch here"
    third = pictured(page)
    page.get_by_role("option", name="smarties").click()
    seen = []
    page.on("request", lambda request: seen.append(request) if request.url.endswith("/api/lens") else None)
    on.click()
    output.filter(has_text="8 of 8").wait_for()
    alive(page)
    asked = json.loads(seen[-1].post_data)
    assert asked["begin"][1] == 2
    assert asked["knobs"]["style"] == "smarties"
    assert page.locator(".takes button").all_inner_texts() == ["1", "2 · from 3 of 1"]
    to(page, 2)
    assert pictured(page) == third, "it begins with what came before"
    page.locator(".takes button").first.click()
    assert output.inner_text() == "5 of 5"
    page.screenshot(path=shots / "branch.png")


def test_the_moments_are_taken_home_as_a_film_and_one_of_them_as_a_script(visit, tmp_path):
    page = visit("/style?transfer.steps=4&transfer.size=64")
    page.locator(".go").click()
    page.locator(".reel output").filter(has_text="5 of 5").wait_for()
    alive(page)
    for kind in ("webp", "gif"):
        page.locator(".film select").select_option(kind)
        with page.expect_download() as film:
            page.locator(".film button").click()
        assert film.value.suggested_filename == f"transfer.{kind}"
        film.value.save_as(tmp_path / "film")
        with Image.open(tmp_path / "film") as shown:
            assert shown.n_frames == 5
    with page.expect_download() as script:
        page.get_by_role("button", name="Script").first.click()
    script.value.save_as(tmp_path / "figure.py")
    compile((tmp_path / "figure.py").read_text(encoding="utf-8"), "figure.py", "exec")


def test_a_picture_of_ones_own_becomes_the_style(visit, tmp_path):
    Image.new("RGB", (90, 60), "orange").save(tmp_path / "mine.png")
    page = visit("/style?transfer.steps=1&transfer.size=64")
    page.locator(".own input").set_input_files(tmp_path / "mine.png")
    page.locator(".palette output").filter(has_text="your own").wait_for()
    page.wait_for_function("location.search.includes('transfer.style=')")
    page.wait_for_timeout(1000)
    asked = answers(page, lambda: page.locator(".go").click())[0]
    assert asked["knobs"]["style"].endswith(".jpg"), "what is chosen outlives the page's own redrawing"
    page.reload()
    page.locator(".palette output").filter(has_text="your own").wait_for()
    (tmp_path / "no.png").write_bytes(b"%PDF-1.4")
    page.locator(".own input").set_input_files(tmp_path / "no.png")
    page.locator(".palette .wrong").filter(has_text="no.png: is not a picture but a PDF document").wait_for()


def test_two_manners_are_mixed_under_the_hand(visit, shots):
    page = visit("/style?lens=Instant&instant.size=64")
    alive(page)
    assert page.locator(".gallery > div").count() == 26
    share, drawn = page.locator(".knobs input[type=range]").nth(2), [pictured(page)]
    for to in (0.5, 1):
        asked, told = answers(
            page, lambda to=to: share.evaluate("(s, to) => { s.value = to; s.oninput(); s.onchange() }", to)
        )
        assert asked["knobs"]["share"] == to
        drawn.append(pictured(page))
    assert len(set(drawn)) == 3
    assert len(told["exhibits"]) == 2
    page.wait_for_function("location.search.includes('instant.share=1')")
    page.screenshot(path=shots / "instant.png")
