"""What stands in the address opens: by a link from another page, on a reload, and with the Back button."""

import re

import pytest

from engine.bench import Setup
from engine.catalog import method
from engine.folder import write_state
from lab.runs.run import plan
from lab.runs.sweep import plan_sweep

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
    """The tab is open, and the page has nothing more to draw."""
    page.locator(f"[role=tab][aria-selected=true]:has-text('{tab}')").wait_for()
    page.wait_for_function("!document.querySelector('[data-test-script-state=running]')")


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
    opens(page, "Log")
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


def test_choices_stand_in_the_address_by_their_plain_names(visit):
    page = visit("/methods")
    page.get_by_text("Neural style transfer", exact=True).wait_for()  # the last card: all is drawn
    wings = page.get_by_test_id("stButtonGroup")
    wings.get_by_text("Uncertainty", exact=True).click()
    page.wait_for_url(re.compile("wing=uncertainty$"))
    wings.get_by_text("Few-shot", exact=True).click()
    page.wait_for_url(re.compile("wing=fewshot$"))
    page.get_by_role("link", name="Prototypical", exact=False).first.wait_for()
    page.go_back()
    page.get_by_text("Deep ensembles", exact=True).wait_for()
    page = visit("/uncertainty")
    page.get_by_role("combobox", name="Model").first.click()
    page.get_by_role("option", name="Deep ensembles").first.click()
    page.wait_for_url(re.compile("model=uncertainty.deep_ensembles"))
    page.reload()
    page.get_by_text("One more", exact=True).wait_for()


def test_a_choice_of_runs_outlives_a_search_and_the_way_to_the_comparison_and_back(visit, run, server):
    other = plan(ID, method(ID).params.make({}, "tiny"), Setup(device="cpu"), "beside it")
    write_state(other.folder, "cancelled", step=0, steps=3)
    page = visit("/runs")
    page.locator(f".st-key-chosen-{run.id} label").click()
    page.get_by_text("1 selected").wait_for()
    page.get_by_placeholder("name, method or state").fill("beside")
    page.locator(f".st-key-chosen-{run.id}").wait_for(state="detached")
    page.locator(f".st-key-chosen-{other.id} label").click()
    page.get_by_text("2 selected").wait_for()
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("heading", name="Side by side").wait_for()
    assert {run.id, other.id} <= set(re.split("[=,&]|%2C", page.url))
    page.go_back()
    page.get_by_text("2 selected").wait_for()
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("Select runs").wait_for()


def test_a_sweep_is_deleted_from_its_page_with_its_runs(visit, server, monkeypatch):
    monkeypatch.setenv("VISIONARIUM_HOME", str(server.home))
    sweep = plan_sweep(ID, method(ID).params.make({}, "tiny"), Setup(device="cpu"), {"lr": (0.001, 0.01)})
    for number, id in enumerate(sweep.plan.runs):
        made = plan(ID, method(ID).params.make({}, "tiny"), Setup(), sweep.title(number), server.home / "runs" / id)
        write_state(made.folder, "done", step=3, steps=3)
    page = visit(f"/sweep?id={sweep.id}")
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("All its 2 runs go with it").wait_for()
    page.get_by_role("button", name="Delete all").click()
    page.get_by_role("heading", name="Sweeps").wait_for()
    assert not sweep.folder.exists()
    assert not any((server.home / "runs" / id).exists() for id in sweep.plan.runs)
