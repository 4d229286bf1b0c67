"""Forms from knobs: every kind of the vocabulary, problems at the field, and values that a slider can reach."""

import itertools
from typing import Literal

import pytest
from streamlit.testing.v1 import AppTest

from engine.params import Params, knob
from lab.forms import decimals, fine_step, label, ladder


class Everything(Params):
    """One knob of each kind."""

    on: bool = knob(True, "a switch")
    count: int = knob(8, "a whole number", 1, 64, paper=16)
    steps: int = knob(2000, "a large whole number", 1, 1_000_000, unit="steps")
    batch: int = knob(96, "by factors", 16, 4096, log=True)
    share: float = knob(0.75, "a share", 0.0, 1.0)
    momentum: float = knob(0.999, "near one", 0.0, 1.0, paper=0.9995)
    rate: float = knob(0.0004, "by factors", 1e-5, 1.0, log=True, paper=0.03)
    kind: Literal["one", "two"] = knob("two", "a choice")
    many: Literal["a", "b", "c", "d", "e"] = knob("e", "a long choice", fold=True)
    some: tuple[Literal["x", "y", "z"], ...] = knob(("x", "z"), "several", fold=True)
    data: str = knob("garments", "data", fold=True)
    note: str = knob("hello", "text", fold=True)


def page():
    import streamlit as st

    from lab.forms import form
    from tests.lab.test_forms import Everything

    params = form(Everything, Everything(), "f", sources=["garments", "photos"])
    st.session_state["got"] = params and params.model_dump()


@pytest.fixture
def app():
    return AppTest.from_function(page, default_timeout=30).run()


def test_an_untouched_form_gives_the_params_it_was_filled_with(app):
    assert not app.exception
    assert app.session_state["got"] == Everything().model_dump()


def test_a_touched_form_gives_the_new_values_in_their_types(app):
    app.toggle(key="f.on").set_value(False)
    app.slider(key="f.share").set_value(0.25)
    app.number_input(key="f.steps").set_value(50)
    app.select_slider(key="f.batch").set_value(256)
    app.get_by_key("f.some").set_value(["y"])
    app.selectbox(key="f.data").set_value("photos")
    app.run()
    got = app.session_state["got"]
    wanted = Everything(on=False, share=0.25, steps=50, batch=256, some=("y",), data="photos")
    assert got == wanted.model_dump()
    assert isinstance(got["steps"], int)
    assert isinstance(got["share"], float)


def test_folded_knobs_stand_under_all_settings(app):
    (folded,) = (expander for expander in app.expander if expander.label == "All settings")
    assert {"many", "some", "data", "note"} == {
        widget.label for kind in (folded.selectbox, folded.text_input, folded.pills) for widget in kind
    }


def test_a_problem_is_said_once_at_its_field_and_nothing_is_returned():
    def wrong():
        import streamlit as st

        from lab.forms import form
        from tests.lab.test_forms import Paired

        st.session_state["got"] = form(Paired, Paired(), "f")

    app = AppTest.from_function(wrong, default_timeout=30).run()
    app.text_input(key="f.name").set_value("").run()
    assert app.session_state["got"] is None
    assert [error.value for error in app.error] == ["A name is needed."]
    app.text_input(key="f.name").set_value("x")
    app.slider(key="f.low").set_value(9).run()
    assert [error.value for error in app.error] == ["Low must be below high."]


class Paired(Params):
    """A rule for one knob and a rule across two."""

    name: str = knob("x", "a name")
    low: int = knob(1, "low end", 0, 10)
    high: int = knob(5, "high end", 0, 10)

    from pydantic import field_validator, model_validator

    @field_validator("name")
    @classmethod
    def named(cls, value):
        if not value:
            raise ValueError("a name is needed")
        return value

    @model_validator(mode="after")
    def ordered(self):
        if self.low >= self.high:
            raise ValueError("low must be below high")
        return self


def test_the_label_tells_unit_and_the_papers_value_where_it_is_another():
    knobs = {one.name: one for one in Everything.knobs()}
    assert "steps" in label(knobs["steps"])
    assert "paper 16" in label(knobs["count"])
    assert "paper" not in label(knobs["share"])


@pytest.mark.parametrize(
    ("low", "high", "whole"), [(1e-5, 1.0, False), (0.01, 10.0, False), (16, 4096, True), (1, 7, True)]
)
def test_a_ladder_is_sorted_in_range_and_holds_its_ends_and_extras(low, high, whole):
    steps = ladder(low, high, (low * 1.37 if not whole else low + 2, None, high * 2), whole=whole)
    assert steps == sorted(set(steps))
    assert steps[0] == low
    assert steps[-1] == high
    assert (low * 1.37 if not whole else low + 2) in steps
    ratios = [after / before for before, after in itertools.pairwise(steps)]
    assert max(ratios) <= 2.0 + 1e-9


def test_a_scale_of_factors_cannot_begin_at_zero():
    with pytest.raises(ValueError, match="low: 0"):
        ladder(0.0, 1.0, (), whole=False)


@pytest.mark.parametrize("name", ["share", "momentum"])
def test_a_sliders_step_reaches_default_and_paper(name):
    one = next(knob for knob in Everything.knobs() if knob.name == name)
    step = fine_step(one, one.default)
    for value in (one.default, one.paper or one.default):
        assert abs(value / step - round(value / step)) < 1e-6


def test_decimals_counts_the_digits_that_are_needed():
    assert [decimals(x) for x in (1.0, 0.5, 0.25, 0.999, 100.0)] == [0, 1, 2, 3, 0]
