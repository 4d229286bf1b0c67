"""Arms side by side and methods side by side: what the browser gets, the scripts, and the page."""

import base64

import numpy as np
import pytest
from app_pages import opened, text
from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine import arms, receipts
from lab import learned, what_if
from lab.timeline import FULL

ID = "representation.simclr"
CLIENT = TestClient(Starlette(routes=[*what_if.ROUTES, *learned.ROUTES]), base_url="http://localhost")


@pytest.fixture(scope="module")
def found():
    return receipts.read(ID), arms.read(ID)


def test_the_strip_has_every_arm_on_one_scale(found):
    receipt, traced = found
    shown = what_if.shown(ID, receipt, traced)
    assert [arm["name"] for arm in shown["arms"]] == list(receipt.arms)
    sizes = {}
    for arm in shown["arms"]:
        places = np.frombuffer(base64.b64decode(arm["places"]), "<i2").reshape(len(arm["steps"]), -1, 2) / FULL
        assert places.shape[1] == len(shown["labels"]) == arms.PINNED
        sizes[arm["name"]] = np.square(places[-1] - places[-1].mean(0)).sum(1).mean() ** 0.5
    assert sizes["no negatives"] < 0.6 * sizes["both"]
    assert next(curve["says"] for curve in shown["curves"]) == what_if.SAYS["neighbours"]
    first = shown["curves"][0]["lines"][0]
    assert first["value"] == receipt.arms["both"][0].course["neighbours"]


def test_what_training_cannot_change_is_not_drawn_over_it(found):
    assert "pixels" in found[0].arms["both"][0].course
    assert "pixels" not in what_if.numbers(found[0])


def test_scripts_redraw_what_is_shown():
    drawn = CLIENT.get(f"/api/arms/{ID}/curve/neighbours/100")
    assert drawn.status_code == 200
    assert "crop only" in drawn.text
    compile(drawn.text, "curves.py", "exec")
    compile(CLIENT.get(f"/api/arms/{ID}/map/1/0").text, "map.py", "exec")
    for wrong in (f"/api/arms/{ID}/curve/nothing/1", f"/api/arms/{ID}/map/99/1", "/api/arms/no.such/map/0/1"):
        assert CLIENT.get(wrong).status_code == 404


def test_methods_stand_side_by_side_with_the_mean_of_their_seeds(found):
    one = next(each for each in learned.learners() if each.id == ID)
    points = one.points("probe", "step")
    courses = [outcome.course["probe"] for outcome in found[0].arms["both"]]
    np.testing.assert_allclose(points[:, 1], np.mean(courses, axis=0))
    assert points[:, 0].tolist() == found[0].arms["both"][0].course["step"]
    assert not len(one.points("nothing", "step"))
    arms_too = [each for each in learned.learners(contrasts=True) if each.id == ID]
    assert [each.arm for each in arms_too] == ["", *list(found[0].arms)[1:]]
    assert len({each.place for each in arms_too}) == 1
    table = learned.table(learned.learners())
    row = table["method"].index(one.title)
    assert table["neighbours"][row] == pytest.approx(
        np.mean([outcome.course["neighbours"][-1] for outcome in one.outcomes])
    )
    assert one.title in learned.legend([one])


def test_on_other_pictures_only_the_methods_measured_there_stand_side_by_side(found):
    shown = learned.learners(learned.COLOUR, contrasts=True)
    one = next(each for each in shown if each.id == ID)
    assert not any(each.arm for each in shown)
    ends = [outcome.course["neighbours"][-1] for outcome in found[0].also[learned.COLOUR]]
    assert one.points("neighbours", "step")[-1, 1] == pytest.approx(np.mean(ends))
    assert one.place == next(each.place for each in learned.learners() if each.id == ID)
    drawn = CLIENT.get("/api/learned/script", params={"number": "probe", "along": "step", "on": learned.COLOUR})
    assert drawn.text != CLIENT.get("/api/learned/script", params={"number": "probe", "along": "step"}).text


@pytest.mark.parametrize("on", [learned.USUAL, learned.COLOUR])
def test_supervised_training_and_pixels_are_drawn_beside_shares_right(on):
    shown = learned.learners(on)
    known = learned.references(shown, on)
    supervised = receipts.read(learned.SUPERVISED)
    few = supervised.arms["from scratch"] if on == learned.USUAL else supervised.also[f"{on}, from scratch"]
    assert known["supervised by as few labels"] == pytest.approx(np.mean([one.figure for one in few]))
    assert known["nearest by pixels"] < known["supervised by as few labels"] < known["supervised by all labels"]
    drawn = {one["says"]: [line for line in one["lines"] if line["name"] in known]
             for one in learned.figures(shown, "step", on)}  # fmt: skip
    assert [line["value"][0] for line in drawn["probe"]] == list(known.values())
    assert not drawn["directions"]


def test_the_script_of_all_methods():
    drawn = CLIENT.get("/api/learned/script", params={"number": "probe", "along": "step"})
    assert "SimCLR" in drawn.text
    compile(drawn.text, "learned.py", "exec")
    assert CLIENT.get("/api/learned/script", params={"number": "probe", "along": "moon"}).status_code == 404
    assert CLIENT.get("/api/learned/script", params={"number": "nothing"}).status_code == 404


def test_the_page_opens_and_a_method_without_contrasts_has_one_row():
    app = opened("learned")
    assert "Features, side by side" in app.title[0].value
    rows = len(app.dataframe[0].value)
    app.toggle(key="contrasts").set_value(True).run()
    assert len(app.dataframe[0].value) > rows
    assert "SimCLR" in text(app)
