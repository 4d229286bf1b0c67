"""Prints how fast a run's page is: a written number on screen, a reload at 50 000 steps, a move of the time machine.

    PYTHONPATH=.:tests python tests/speed/live.py [STEPS]

Needs Chromium and Playwright; takes a minute. Nothing is asserted: clocks differ.
"""

import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from browser.conftest import CHROMIUM, SWITCHES, Server
from playwright.sync_api import sync_playwright

from engine.bench import Setup
from engine.catalog import method
from engine.folder import write_state
from engine.lock import RUN, Lock
from engine.record import media, probes
from engine.run import run as carry_out
from lab.runs.run import plan
from lab.runs.series import Series

ID = "fewshot.prototypical"
LOOKS = 16
FIND = """window.scrubRoot = () => {
  const search = (node) => {
    for (const one of node.querySelectorAll('*')) {
      if (one.classList.contains('scrub')) return one
      const found = one.shadowRoot && search(one.shadowRoot)
      if (found) return found
    }
  }
  return search(document)
}"""


def long_run(steps):
    """A run that lives, with `steps` rows, and pictures and probes of a real short one at even distances."""
    short = plan(ID, method(ID).params.make({"steps": 400}, "tiny"), Setup.make({"device": "cpu", "looks": LOOKS}))
    assert carry_out(short.folder) == "done"
    run = plan(ID, method(ID).params.make({"steps": steps + 1000}, "tiny"), Setup.make({"device": "cpu"}))
    for name, kept in (("media", media(short.folder)), ("probe", probes(short.folder))):
        (run.folder / name).mkdir()
        for step, path in kept:
            shutil.copy(path, run.folder / name / f"{step * steps // 400:08d}.safetensors")
    shutil.copy(short.folder / "probe" / "points.safetensors", run.folder / "probe")
    with open(run.folder / "metrics.jsonl", "w", encoding="utf-8") as file:
        file.writelines(row(step) for step in range(1, steps + 1))
    return run


def row(step, loss=None):
    told = {"step": step, "time": step / 100, "loss": 1 / step if loss is None else loss, "training accuracy": 0.5}
    if step % 1000 == 0:
        told |= {"accuracy": 0.6, "pixel prototypes": 0.5}
    return json.dumps(told) + "\n"


def said(name, seconds):
    spread = f"{1000 * statistics.median(seconds):6.0f} ms median, {1000 * max(seconds):6.0f} worst of {len(seconds)}"
    print(f"{name:58} {spread}", flush=True)


def main(steps):
    os.environ["VISIONARIUM_HOME"] = tempfile.mkdtemp(prefix="visionarium-speed-")
    run = long_run(steps)
    began = time.perf_counter()
    found = Series(run.folder)
    rows = found.read()
    found.points("loss")
    print(f"{f'{steps:,} rows read for the first time':58} {1000 * (time.perf_counter() - began):6.0f} ms")
    assert len(rows) == steps
    server = Server(Path(os.environ["VISIONARIUM_HOME"]), run.folder.parent.parent / "server.log")
    server.start()
    lock = Lock(run.folder / "live.lock", RUN)
    lock.take()
    write_state(run.folder, "running", step=steps, steps=steps + 1000, device="cpu", peak_mb=700)
    try:
        with sync_playwright() as playwright:
            page = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES)).new_page()
            page.add_init_script(FIND)
            page.goto(f"{server.url}/run?id={run.id}")
            page.wait_for_function("scrubRoot()?.querySelector('.map canvas')", timeout=120_000)
            page.wait_for_timeout(15_000)  # torch is imported in the background
            parts = zip(*[reload(page) for _ in range(7)], strict=True)
            for name, seconds in zip(("the title", "the curves", "the map"), parts, strict=True):
                said(f"reload at {steps:,} steps until {name} is there", seconds)
            delays = [appears(page, run, steps + i) for i in range(1, 9)]
            said("a written number on screen", delays)
            said("a move of the time machine, to the next painted frame", moves(page))
    finally:
        lock.release()
        server.kill()
        shutil.rmtree(os.environ["VISIONARIUM_HOME"])


def reload(page):
    """Seconds to the page's title, to its curves, and to the whole of it."""
    began, found = time.perf_counter(), []
    page.reload(wait_until="commit")
    for there in (
        "document.querySelector('h1')",
        "scrubRoot()?.querySelector('.curves .line')",
        "scrubRoot().querySelector('.map figcaption')?.textContent.includes('variance')",
    ):
        page.wait_for_function(there)
        found.append(time.perf_counter() - began)
    return found


def appears(page, run, step):
    """Seconds from a row's flush to its number in the legend of the curve."""
    page.wait_for_timeout(37 * (step % 10) + 300)
    loss = 1 + step % 100
    began = time.perf_counter()
    with open(run.folder / "metrics.jsonl", "a", encoding="utf-8") as file:
        file.write(row(step, loss))
    page.wait_for_function(f"scrubRoot().querySelector('.curves .legend b').textContent === '{loss}'", polling=20)
    return time.perf_counter() - began


def moves(page):
    """Seconds from an input event of the slider to the frame that shows it."""
    times = page.evaluate(
        """async () => {
          const slider = scrubRoot().querySelector('input'), found = []
          for (let i = 0; i < 60; i++) {
            const began = performance.now()
            slider.value = i % 2 ? 3 + (i % 11) : 12 - (i % 9)
            slider.dispatchEvent(new Event('input'))
            await new Promise((done) => requestAnimationFrame(() => setTimeout(done)))
            found.push(performance.now() - began)
          }
          return found
        }"""
    )
    return [each / 1000 for each in times]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
