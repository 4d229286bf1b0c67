"""For browser tests of lenses that follow the hand: what was asked, what came, and when all of it is there."""

import json


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
    return json.loads(seen[-1].post_data), last(seen)


def last(asked):
    """The last line of the last answer."""
    return json.loads(asked[-1].response().text().splitlines()[-1])


def pictured(page):
    """The file of the first exhibit's pictures."""
    return page.locator(".stage .part").first.evaluate("one => one.sheet.tiles")
