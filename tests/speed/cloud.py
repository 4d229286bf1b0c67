"""Prints how fast the map of pictures is: a loop to its counts, its pictures, another colour, a neighbour, a slide.

    PYTHONPATH=.:tests python tests/speed/cloud.py [POINTS ...]

Points are made up, and so are their pictures; 10 000 and 100 000 unless told. Needs Chromium and Playwright; takes two
minutes. The times are the browser's own, from letting the pointer go to what is written; beside the loop, what the lab
needs for the same polygon. Nothing is asserted: clocks differ.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from browser.conftest import CHROMIUM, SWITCHES
from playwright.sync_api import sync_playwright
from served import ROOT, Server

MADE_UP = """
import numpy as np
from engine.features import Features
from lab.atlas import Atlas, keep_atlas
from lab.atlas.atlas import Plane
from lab.parts import embedding

def made_up(count):
    draw = np.random.default_rng(0)
    labels = draw.integers(10, size=count)
    angle = labels / 10 * 2 * np.pi
    places = np.stack([np.cos(angle), np.sin(angle)], 1) * 3 + draw.normal(size=(count, 2))
    features = draw.normal(size=(count, 64)).astype(np.float32) + 3 * np.eye(10, 64)[labels].astype(np.float32)
    found = Features(features, labels, draw.integers(0, 255, (count, 1, 28, 28), np.uint8),
                     tuple(f"class {i}" for i in range(10)), labels, np.full(count, .9, np.float32),
                     draw.random(count).astype(np.float32), tuple(f"class {i}" for i in range(10)))
    one = Atlas(f"made-up-{count}", found, np.arange(count), "made up", f"{count:,} made-up points")
    one.keep("umap", Plane.around(places))
    one.measures["umap 10"] = {}
    one.clusters[10] = labels
    return keep_atlas(one)

class There:
    error, ended = "", True
    def __init__(self, atlas): self.atlas = atlas

made = {}
def job(wanted):
    if wanted.pictures not in made:
        made[wanted.pictures] = made_up(wanted.pictures)
    return There(made[wanted.pictures])

embedding.job = job
"""


class MadeUp(Server):
    """The lab, its atlases made up by the module in `folder`."""

    begin = "import made_up; "

    def __init__(self, folder):
        super().__init__(folder / "home", folder / "log")
        (folder / "made_up.py").write_text(MADE_UP)
        os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), str(ROOT)])


def main():
    counts = [int(word) for word in sys.argv[1:]] or [10_000, 100_000]
    with tempfile.TemporaryDirectory() as folder:
        server = MadeUp(Path(folder))
        server.start()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
                for count in counts:
                    measure(browser, server, count)
        finally:
            server.kill()


def measure(browser, server, count):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(120_000)
    began = time.perf_counter()
    page.goto(f"{server.url}/map?pictures={count:,}")
    page.locator(".cloud[data-ready]:not([data-ready=''])").wait_for()
    print(f"{count:,} points: on screen after {time.perf_counter() - began:.1f} s (with the page itself)")
    page.get_by_role("button", name="Knobs").wait_for()  # torch is loaded
    page.wait_for_timeout(1000)
    page.locator(".field").scroll_into_view_if_needed()
    box = page.locator(".over").bounding_box()
    cloud, grid = page.locator(".cloud"), page.locator(".selection")
    loops, sheets, colours = [], [], []
    for i in range(7):
        page.keyboard.down("Shift")
        spots = [(0.3 + 0.4 * np.cos(a) * (1 + 0.02 * i), 0.5 + 0.45 * np.sin(a)) for a in np.linspace(0, 6.2, 60)]
        spots = [(box["x"] + (x + 0.2) * box["width"], box["y"] + y * box["height"]) for x, y in spots]
        page.mouse.move(*spots[0])
        page.mouse.down()
        for spot in spots[1:]:
            page.mouse.move(*spot)
        before = grid.get_attribute("data-milliseconds")
        page.mouse.up()
        page.keyboard.up("Shift")
        loops.append(float(cloud.get_attribute("data-lasso")))
        end = time.monotonic() + 10
        while grid.get_attribute("data-milliseconds") == before and time.monotonic() < end:
            page.wait_for_timeout(20)
        sheets.append(float(grid.get_attribute("data-milliseconds")))
        if i < 6:
            page.locator(".clear").click()
    chosen = page.locator(".count").inner_text()
    for name in ("cluster", "uncertainty", "label", "error", "label"):
        page.locator(".cloud select").select_option(name)
        colours.append(float(cloud.get_attribute("data-recolour")))
    print(f"  loop -> counts ({chosen})   median {statistics.median(loops):6.1f} ms   worst {max(loops):6.1f}")
    print(f"  -> 24 pictures on screen        median {statistics.median(sheets):6.1f} ms   worst {max(sheets):6.1f}")
    print(f"  another colour                  median {statistics.median(colours):6.1f} ms   worst {max(colours):6.1f}")
    slide = page.evaluate(SLIDE)
    print(f"  drawing it anew                 median {statistics.median(slide):6.1f} ms   worst {max(slide):6.1f}")
    near = []
    for row in range(5, 12):
        began = time.perf_counter()
        page.request.get(f"{server.url}/api/maps/made-up-{count}/near/{row}").body()
        near.append(1000 * (time.perf_counter() - began))
    print(f"  neighbours and their pictures   median {statistics.median(near):6.1f} ms   worst {max(near):6.1f}")
    address, lab = page.locator(".csv").evaluate("a => a.href"), []
    for _ in range(5):
        began = time.perf_counter()
        page.request.get(address).body()
        lab.append(1000 * (time.perf_counter() - began))
    print(f"  the same loop asked of the lab  median {statistics.median(lab):6.1f} ms, with the table of its rows")
    page.close()


SLIDE = """async () => {
  const find = (node) => { for (const one of node.querySelectorAll('*')) {
    if (one.matches('.cloud')) return one
    const found = one.shadowRoot && find(one.shadowRoot)
    if (found) return found } }
  const over = find(document).querySelector('.over'), took = []
  const box = over.getBoundingClientRect()
  for (let i = 0; i < 20; i++) {
    const began = performance.now()
    const spot = { clientX: box.left + 200, clientY: box.top + 200, cancelable: true }
    over.dispatchEvent(new WheelEvent('wheel', { deltaY: i % 2 ? 60 : -60, ...spot }))
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
    took.push(performance.now() - began)
  }
  return took
}"""

if __name__ == "__main__":
    main()
