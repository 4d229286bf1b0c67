"""Prints how fast many runs open side by side: from a new address, and by a click within the lab.

    PYTHONPATH=.:tests python tests/speed/compare.py [RUNS] [STEPS]

Needs Chromium and Playwright; takes a minute. Nothing is asserted: clocks differ.
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from browser.conftest import CHROMIUM, SWITCHES, Server
from playwright.sync_api import sync_playwright
from speed.live import ID, row, said

from engine.bench import Setup
from engine.catalog import method
from engine.folder import write_state
from engine.record import media
from engine.run import run as carry_out
from lab.runs.run import plan

PARTS = {"Curves": ".curves svg", "Pictures": ".matrix .cells canvas"}


def many_runs(runs, steps):
    """Ended runs of `steps` rows each, with the pictures of a real short one."""
    params = method(ID).params.make({"steps": 100}, "tiny")
    first = plan(ID, params, Setup.make({"device": "cpu", "looks": 8}))
    assert carry_out(first.folder) == "done"
    made = []
    for number in range(runs):
        run = plan(ID, params, Setup.make({"device": "cpu", "seed": number}), name=f"run {number}")
        (run.folder / "media").mkdir()
        for step, path in media(first.folder):
            shutil.copy(path, run.folder / "media" / f"{step * steps // 100:08d}.safetensors")
        with open(run.folder / "metrics.jsonl", "w", encoding="utf-8") as file:
            file.writelines(row(step, 1 + number / step) for step in range(1, steps + 1))
        write_state(run.folder, "done", step=steps, steps=steps, device="cpu")
        made.append(run.id)
    return made


def main(runs=20, steps=2000):
    os.environ["VISIONARIUM_HOME"] = tempfile.mkdtemp(prefix="visionarium-speed-")
    ids = ",".join(many_runs(runs, steps))
    server = Server(Path(os.environ["VISIONARIUM_HOME"]), Path(os.environ["VISIONARIUM_HOME"]) / "server.log")
    server.start()
    try:
        with sync_playwright() as playwright:
            page = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES)).new_page()
            page.goto(f"{server.url}/compare?runs={ids}")
            page.wait_for_selector(PARTS["Curves"], timeout=120_000)
            page.wait_for_timeout(15_000)  # torch is imported in the background
            said(f"{runs} runs of {steps:,} steps, from the address to the curves", [opened(page) for _ in range(7)])
            said("from one tab to the pictures", [turned(page, "Pictures") for _ in range(5)])
            page.wait_for_timeout(1000)
            said("from one tab to the curves", [turned(page, "Curves") for _ in range(5)])
            page.goto(f"{server.url}/runs")
            said("the list of all runs, from its address", [listed(page) for _ in range(5)])
    finally:
        server.kill()
        shutil.rmtree(os.environ["VISIONARIUM_HOME"])


def opened(page):
    """Seconds from the address to the curves, coming from elsewhere."""
    address = page.url
    page.goto("about:blank")
    page.wait_for_timeout(1500)
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.wait_for_selector("h1")  # looking for curves in every frame of a page that is still coming slows it down
    page.wait_for_selector(PARTS["Curves"])
    return time.perf_counter() - began


def turned(page, name):
    """Seconds from a click on a part's tab until it is there; the other tab is opened first."""
    other = next(each for each in PARTS if each != name)
    page.get_by_role("tab", name=other).click()
    page.locator(PARTS[other]).first.wait_for()
    page.wait_for_timeout(500)
    began = time.perf_counter()
    page.get_by_role("tab", name=name).click()
    page.locator(PARTS[name]).first.wait_for()
    return time.perf_counter() - began


def listed(page):
    began = time.perf_counter()
    page.reload(wait_until="commit")
    page.get_by_text("run 7", exact=True).first.wait_for()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
