"""Faults as a visitor meets them: browsers and apps that come and go, a broken index, a home that is read-only."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from patience_runs import READ_ONLY, computes, ends, until
from served import PATIENCE, Server

from engine import catalog
from engine.bench import Setup
from engine.folder import write_state
from lab.runs import all_runs
from lab.runs.queue import queue
from lab.runs.run import LOCAL, plan

pytestmark = [pytest.mark.browser, pytest.mark.faults]
TOY = "toy.patience"
SLOW = {"steps": 100_000, "wait": 0.1}


@pytest.fixture
def serve(home, tmp_path):
    """Start one more app on the home."""
    servers = []

    def start():
        servers.append(Server(Path(os.environ["VISIONARIUM_HOME"]), tmp_path / f"server-{len(servers)}.log"))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def browse(chromium):
    """browse(server, path): an open page in a browser of its own; close its `context` to close that."""
    contexts = []

    def open(server, path):
        contexts.append(chromium.new_context(viewport={"width": 1440, "height": 900}))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(server.url + path)
        page.wait_for_selector("h1")
        return page

    yield open
    for context in contexts:
        context.close()


def started_from_the_form(page):
    """The run that the Start button starts: slow enough to live until it is cancelled."""
    page.get_by_text("All settings").first.click()
    for label, value in (("steps", 100_000), ("wait", 0.1)):
        field = page.get_by_role("spinbutton", name=re.compile(f"^{label}")).first
        field.fill(str(value))
        field.press("Enter")
    page.locator("code", has_text="--wait 0.1").wait_for()
    before = {run.id for run in all_runs()}
    page.get_by_role("button", name="Start training").click()
    (run,) = until(lambda: [run for run in all_runs() if run.id not in before])
    computes(run)
    return run


def drawn(page):
    """How many points the chart of the loss has."""
    return page.locator(".curves svg .line").first.get_attribute("d").count(" ")


def shown(page):
    """The ids of the runs on the page of runs."""
    page.locator("[class*=st-key-row-2]").first.wait_for()
    names = page.locator("[class*=st-key-row-2]").evaluate_all("rows => rows.map(row => row.className)")
    return {re.search(r"st-key-row-(\d{8}-\d{6}-[0-9a-f]{4})", name)[1] for name in names}


FORM = f"/method?id={TOY}&part=Train"


@pytest.mark.fault(
    "the browser is closed while a run computes, and opened again",
    "the run is live, all its points are there, and it can be cancelled",
)
def test_a_browser_that_comes_back_finds_the_run_live_and_whole(serve, browse):
    server = serve()
    page = browse(server, FORM)
    run = started_from_the_form(page)
    page.context.close()
    rows = len(run.series())
    until(lambda: len(run.series()) > rows + 20)
    page = browse(server, f"/run?id={run.id}")
    page.get_by_text("running", exact=True).first.wait_for()
    rows = len(run.series())
    until(lambda: drawn(page) >= rows)
    page.get_by_role("button", name="Cancel").click()
    assert ends(run) == "cancelled"
    page.get_by_text("cancelled", exact=True).first.wait_for()
    until(lambda: drawn(page) == len(run.series()) == run.told["step"])


@pytest.mark.fault(
    "the app is killed and started again while a browser is open and a run computes",
    "the page comes back by itself and shows the whole run",
)
def test_an_open_page_comes_back_with_the_app_and_shows_the_whole_run(serve, browse, begin):
    server, run = serve(), begin(**SLOW)
    computes(run)
    page = browse(server, f"/run?id={run.id}")
    page.locator(".curves svg .line").first.wait_for()
    server.kill()
    before = drawn(page)
    rows = len(run.series())
    until(lambda: len(run.series()) > rows + 20)
    assert run.state == "running"
    assert drawn(page) <= before + 1
    server.start()
    rows = len(run.series())
    until(lambda: drawn(page) >= rows, seconds=90)
    page.get_by_role("button", name="Cancel").click()
    assert ends(run) == "cancelled"
    page.get_by_text("cancelled", exact=True).first.wait_for()
    until(lambda: drawn(page) == len(run.series()))


@pytest.mark.fault(
    "two apps serve one home",
    "both show the same runs and the same line; each may cancel and move what the other started",
)
def test_two_apps_on_one_home(serve, browse, planned):
    one, other = serve(), serve()
    page, second = browse(one, FORM), browse(other, "/runs")
    run = started_from_the_form(page)
    waiting = [planned(), planned(), planned()]
    LOCAL.submit(*(each.folder for each in waiting))
    page.goto(f"{one.url}/runs")
    everything = {each.id for each in (run, *waiting)}
    for each in (page, second):
        until(lambda each=each: shown(each) == everything)
    for _ in range(2):
        for each, place in ((page, 2), (second, 1)):
            each.locator(f".st-key-arrow_upward-{waiting[place].id} button").first.click()
    until(lambda: order(page) == order(second) == [each.folder.name for each in queue()])
    assert {each.folder.name for each in queue()} == {each.id for each in waiting}
    second.goto(f"{other.url}/run?id={run.id}")
    second.get_by_role("button", name="Cancel").click()
    assert ends(run) == "cancelled"
    assert [ends(each) for each in waiting] == ["done"] * 3
    page.get_by_text("cancelled", exact=True).first.wait_for()


def order(page):
    """The waiting runs as a page lists them."""
    rows = page.locator("[class*=st-key-line-cpu] [class*=st-key-row-2]")
    names = rows.evaluate_all("rows => rows.map(row => row.className)")
    return [re.search(r"st-key-row-(\S+)", name)[1] for name in names]


@pytest.fixture
def planned(home):
    def make(**knobs):
        return plan(TOY, catalog.method(TOY).params.make(knobs), Setup(device="cpu"))

    return make


LOCKS = "import sqlite3, sys, time; base = sqlite3.connect(sys.argv[1], isolation_level=None); " + (
    "base.execute('PRAGMA locking_mode=EXCLUSIVE'); base.execute('BEGIN EXCLUSIVE'); "
    "base.execute('DELETE FROM runs'); print(1, flush=True); time.sleep(600)"
)


def indexed(path):
    """The ids in the index; none while it cannot be read."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as base:
            return {id for (id,) in base.execute("SELECT id FROM runs")}
    except sqlite3.DatabaseError:
        return set()


def noise(path):
    for old in path.parent.glob("index.sqlite-*"):
        old.unlink()
    path.write_bytes(os.urandom(8192))


def a_folder(path):
    for old in path.parent.glob("index.sqlite*"):
        old.unlink()
    path.mkdir()
    (path / "notes.txt").touch()


def another_version(path):
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("DROP TABLE runs")
        base.execute("CREATE TABLE runs (id TEXT PRIMARY KEY, everything BLOB NOT NULL)")
        base.execute("PRAGMA user_version = 99")


@pytest.mark.fault(
    "the index of runs is deleted, overwritten, replaced by a folder, locked for long, or another version's",
    "the list is whole each time; the index is made again as soon as it can be",
)
def test_whatever_happens_to_the_index_the_list_is_whole(serve, browse, begin, planned, home):
    live = begin(**SLOW)
    computes(live)
    path, page = home / "index.sqlite", browse(serve(), "/runs")
    locker = None
    for harm in (Path.unlink, noise, another_version, "locked", a_folder):
        done = planned()
        write_state(done.folder, "done", step=5)
        if harm == "locked":
            locker = subprocess.Popen([sys.executable, "-c", LOCKS, path], stdout=subprocess.PIPE)
            locker.stdout.readline()
        else:
            harm(path)
        began = time.monotonic()
        page.reload()
        everything = {run.folder.name for run in all_runs()}
        until(lambda everything=everything: shown(page) == everything)
        print(f"{getattr(harm, '__name__', harm)}: listed after {time.monotonic() - began:.1f} s")
        assert page.locator("[data-testid=stException]").count() == 0
        assert live.state == "running"
        if harm == "locked":
            locker.kill()
            locker.communicate()
        if harm is a_folder:
            shutil.rmtree(path)
        page.reload()
        until(lambda everything=everything: indexed(path) == everything)


@pytest.mark.fault(
    "an app starts on a home that is read-only, or its home becomes so",
    "each page shows what there is and says so in a sentence; Start is refused with it",
)
def test_a_read_only_home_is_shown_and_says_so(disk, serve, browse, planned, shots):
    done = planned()
    LOCAL.submit(done.folder)
    assert ends(done) == "done"
    server = serve()
    page = browse(server, FORM)
    page.get_by_role("button", name="Start training").wait_for()
    disk(writable=False)
    page.get_by_role("button", name="Start training").click()
    page.get_by_text(READ_ONLY).first.wait_for()
    for _ in range(2):
        page.goto(f"{server.url}/runs")
        page.get_by_text(READ_ONLY).first.wait_for()
        until(lambda: shown(page) == {done.id})
        page.screenshot(path=shots / "read-only.png")
        page.goto(f"{server.url}/run?id={done.id}")
        page.get_by_text("done", exact=True).first.wait_for()
        until(lambda: drawn(page) == 5)
        assert page.locator("[data-testid=stException]").count() == 0
        server.kill()
        server.start()
    disk(writable=True)
    page.goto(f"{server.url}{FORM}")
    page.get_by_role("button", name="Start training").click()
    (run,) = until(lambda: [run for run in all_runs() if run.id != done.id])
    assert ends(run) == "done"
    assert page.get_by_text(READ_ONLY).count() == 0
