"""A real server and a real Chromium. Without one these tests are skipped, and say how to get it."""

import os
import shutil
from pathlib import Path

import pytest
from patience_runs import begin, busy, disk, home  # noqa: F401 - fixtures
from served import PATIENCE, Server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SWITCHES = (
    "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    if CHROMIUM is None:
        skip = pytest.mark.skip(reason="no Chromium here; get one with `apt-get install chromium`")
        for item in items:
            if Path(item.path).is_relative_to(Path(__file__).parent):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def shots(tmp_path_factory):
    """Where screenshots go."""
    return Path(os.environ.get("VISIONARIUM_SHOTS") or tmp_path_factory.mktemp("shots"))


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab")
    server = Server(folder / "home", folder / "server.log")
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(SWITCHES))
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, server):
    """visit(path, dark=False): an open page that has its title. At the end nothing may have left the machine."""
    seen, wrong, contexts = [], [], []

    def visit(path="/", dark=False):
        look = "dark" if dark else "light"
        context = chromium.new_context(viewport={"width": 1440, "height": 900}, color_scheme=look)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: seen.append(request.url))
        page.on("websocket", lambda socket: seen.append(socket.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(server.url + path)
        page.wait_for_selector("h1")
        return page

    yield visit
    for context in contexts:
        context.close()
    own = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
    assert [url for url in seen if not url.startswith(own)] == [], "a request left the machine"
    assert wrong == []
