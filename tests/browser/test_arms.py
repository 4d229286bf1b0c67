"""Arms of a claim under one slider: the maps move, a class stands alone, the picture one points at is ringed in all."""

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def strip(visit):
    page = visit("/method?id=representation.simclr&part=Receipt")
    page.locator(".arms .maps canvas").first.wait_for()
    page.locator(".arms").scroll_into_view_if_needed()
    return page


def drawn(page):
    return page.locator(".arms .maps canvas").evaluate_all("all => all.map((canvas) => canvas.toDataURL())")


def test_the_slider_moves_all_maps_and_curves(strip):
    output, end = strip.locator(".arms .bar output"), drawn(strip)
    before = output.text_content()
    strip.locator(".arms .bar input").focus()
    strip.keyboard.press("Home")
    start = drawn(strip)
    assert all(one != two for one, two in zip(start, end, strict=True))
    assert output.text_content() != before
    cursor = strip.locator(".arms .curves .cursor").first
    assert float(cursor.get_attribute("x1")) < 60
    strip.locator(".arms .bar button").click()
    expect(output).to_have_text(before, timeout=30_000)
    assert drawn(strip) == end


def test_a_class_stands_alone_and_a_picture_is_ringed_everywhere(strip):
    end = drawn(strip)
    strip.locator(".arms > .legend button").first.click()
    assert all(one != two for one, two in zip(drawn(strip), end, strict=True))
    strip.locator(".arms > .legend button").first.click()
    assert drawn(strip) == end
    box = strip.locator(".arms .maps canvas").first.bounding_box()
    for share in range(20, 80, 4):
        strip.mouse.move(box["x"] + box["width"] * share / 100, box["y"] + box["height"] / 2)
        if strip.locator(".arms .hint:not([hidden])").count():
            break
    assert strip.locator(".arms .hint:not([hidden])").count() == 1
    assert all(one != two for one, two in zip(drawn(strip), end, strict=True))
