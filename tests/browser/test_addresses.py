"""What stands in the address opens: by a link from another page, on a reload, and with the Back button."""

import re

import pytest

from engine.bench import Setup
from engine.catalog import method
from engine.folder import write_state
from lab.runs.run import plan

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ID = "fewshot.prototypical"


@pytest.fixture
def run(server, monkeypatch):
    """A run that has ended before it began."""
    monkeypatch.setenv("VISIONARIUM_HOME", str(server.home))
    run = plan(ID, method(ID).params.make({}, "tiny"), Setup(device="cpu"), "addressed")
    write_state(run.folder, "cancelled", step=0, steps=3)
    return run


def opens(page, tab):
    page.locator(f"[role=tab][aria-selected=true]:has-text('{tab}')").wait_for()


def test_a_part_that_a_link_asks_for_opens_whatever_was_open_before(visit, run):
    page = visit(f"/run?id={run.id}&part=Log")
    opens(page, "Log")
    page.get_by_role("link", name="Clone", exact=True).click()
    opens(page, "Train")
    page.get_by_text("Cloned from addressed").wait_for()
    page.wait_for_url(re.compile("part=Train"))
    page.reload()
    opens(page, "Train")
    page.get_by_role("button", name="Presets instead").click()
    page.wait_for_url(lambda url: "clone" not in url)
    page.get_by_role("radio", name="demo").wait_for()
    page.reload()
    opens(page, "Train")
    page.go_back()
    page.get_by_text("Cloned from addressed").wait_for()
    opens(page, "Train")


def test_a_clicked_tab_is_in_the_address_and_back_leads_to_the_one_before(visit, run):
    page = visit(f"/run?id={run.id}")
    opens(page, "Course")
    page.get_by_role("tab", name="Log").click()
    page.wait_for_url(re.compile("part=Log"))
    page.get_by_role("tab", name="Settings").click()
    page.wait_for_url(re.compile("part=Settings"))
    page.go_back()
    opens(page, "Log")
    page.go_back()
    opens(page, "Course")
    page.go_forward()
    opens(page, "Log")
    page.reload()
    opens(page, "Log")
    page.get_by_role("link", name="Prototypical", exact=False).first.click()
    opens(page, "Play")
    page.go_back()
    opens(page, "Log")
