"""Prints how fast the studios follow the hand.

    PYTHONPATH=.:tests python tests/speed/studios.py

Needs Chromium and Playwright; takes a minute. Nothing is asserted: clocks differ.
"""

import shutil
import tempfile
import time
from pathlib import Path

from browser.conftest import CHROMIUM, SWITCHES
from playwright.sync_api import sync_playwright
from served import Server
from speed.live import said

TOGGLE = """async (chips) => {  // seconds from each click to the next picture that it changes
  const found = [], stage = chips.getRootNode().querySelector(".stage")
  for (let i = 0; i < 12; i++) {
    const changed = new Promise((done) => {
      const watch = new MutationObserver(() => { watch.disconnect(); done() })
      watch.observe(stage, { childList: true })
    })
    const began = performance.now()
    chips.children[1 + i].click()
    await changed
    found.push((performance.now() - began) / 1000)
    await new Promise((done) => setTimeout(done, 700))
  }
  return found
}"""
DRAG = """async (slider) => {  // seconds from each input event to the next picture that it changes
  const found = [], stage = slider.getRootNode().querySelector(".stage")
  for (let i = 0; i < 12; i++) {
    const changed = new Promise((done) => {
      const watch = new MutationObserver(() => { watch.disconnect(); done() })
      watch.observe(stage, { childList: true })
    })
    const began = performance.now()
    slider.value = Number(slider.min) + ((i * 7 + 3) % (slider.max - slider.min))
    slider.dispatchEvent(new Event("input"))
    await changed
    found.push((performance.now() - began) / 1000)
    await new Promise((done) => setTimeout(done, 2500))
  }
  return found
}"""


def whole(page):
    page.locator(".live:not(.busy) .says").filter(has_text="live").wait_for()


def main():
    home = Path(tempfile.mkdtemp(prefix="visionarium-speed-"))
    server = Server(home, home / "server.log")
    server.start()
    try:
        with sync_playwright() as playwright:
            page = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES)).new_page()
            page.set_default_timeout(120_000)
            began = time.perf_counter()
            page.goto(f"{server.url}/augment")
            page.get_by_text("stored answer").or_(page.get_by_text("live", exact=True)).first.wait_for()
            said("the augmentation studio, from its address to a stored answer", [time.perf_counter() - began])
            for name, path, knob in (
                ("M, to 31 draws at 128 px", "augment", 1),
                ("the share that is hidden, to the painting", "masked", 0),
                ("passes that count, to maps of doubt", "uncertainty", 0),
                ("passes that count, to pictures", "uncertainty?model=uncertainty.mc_dropout", 0),
                ("the cut-off, to who is refused", "uncertainty?model=uncertainty.mc_dropout&lens=Refusal", 1),
                ("k, to the chosen views", "views?model=augmentation.learned_tta&views.picture=2", 1),
                ("a manner, to the painting at 256 px", "style?lens=Instant", 0),
            ):
                page.goto(f"{server.url}/{path}")
                whole(page)
                page.wait_for_timeout(1000)
                slider = page.locator(".knobs input[type=range]").nth(knob)
                slider.hover()
                page.wait_for_timeout(4000)
                said(name, slider.evaluate(DRAG))
            page.goto(f"{server.url}/views")
            whole(page)
            page.wait_for_timeout(1000)
            said("a view switched on or off, to the merged answer", page.locator(".chips").first.evaluate(TOGGLE))
            page.goto(f"{server.url}/style")
            page.locator(".go").wait_for()
            page.wait_for_timeout(1000)
            began = time.perf_counter()
            page.locator(".go").click()
            page.locator(".reel output").filter(has_text="of").wait_for()
            first = time.perf_counter() - began
            whole(page)
            said("a painting's second frame", [first])
            said("all twenty", [time.perf_counter() - began])
    finally:
        server.kill()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
