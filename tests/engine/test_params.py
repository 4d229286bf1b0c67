from typing import Literal

import pytest
from pydantic import model_validator

from engine.flags import command, take_preset
from engine.params import KnobError, Params, knob


class Some(Params):
    steps: int = knob(200, "optimiser steps", 1, 1000, tiny=3, paper=900, unit="steps")
    rate: float = knob(0.1, "learning rate", 1e-4, 1.0, log=True)
    mix: bool = knob(False, "mix pairs of images", fold=True)
    scale: Literal["tv", "tf"] = knob("tv", "which table")
    layers: tuple[Literal["a", "b", "c"], ...] = knob(("a",), "which layers")
    data: str = knob("garments", "what to train on")

    @model_validator(mode="after")
    def _rule(self):
        if self.mix and self.scale == "tf":
            raise ValueError("mix needs the tv scale; choose scale tv or turn mix off")
        return self


def test_presets_change_only_what_they_name():
    assert Some.make({}).steps == 200
    assert Some.make({}, "tiny").steps == 3
    assert Some.make({}, "paper") == Some.make({"steps": 900})
    assert Some.make({"steps": 5}, "tiny").steps == 5


def test_a_knob_ends_lower_where_there_is_less_and_its_default_comes_along():
    less = Some.up_to({"steps": 50})
    assert [knob.name for knob in less.knobs()] == [knob.name for knob in Some.knobs()]
    assert (less.make({}).steps, less.make({}, "tiny").steps, less.knobs()[0].high) == (50, 3, 50)
    with pytest.raises(KnobError, match="51 is out of range; allowed is 1 to 50"):
        less.make({"steps": 51})
    with pytest.raises(KnobError, match="mix needs the tv scale"):
        less.make({"mix": True, "scale": "tf"})
    assert Some.up_to({}) is Some.up_to({"steps": 1000}) is Some
    assert Some.up_to({"steps": 0}).knobs()[0].high == 1, "one that stays where it begins"
    assert Some.make({}).steps == 200


@pytest.mark.parametrize(
    ("values", "name", "says"),
    [
        ({"steps": 0}, "steps", "0 is out of range; allowed is 1 to 1000"),
        ({"rate": 2}, "rate", "2 is out of range; allowed is 0.0001 to 1.0"),
        ({"steps": "many"}, "steps", "'many' does not fit; input should be a valid integer"),
        ({"scale": "timm"}, "scale", "'timm' does not fit; input should be 'tv' or 'tf'"),
        ({"stepz": 1}, "stepz", "there is no such knob; there are steps, rate"),
        ({"mix": True, "scale": "tf"}, "", "mix needs the tv scale"),
    ],
)
def test_what_cannot_be_is_said_at_its_knob(values, name, says):
    with pytest.raises(KnobError) as caught:
        Some.make(values)
    assert caught.value.problems[0][0] == name
    assert says in caught.value.problems[0][1]


def test_several_faults_are_all_told():
    with pytest.raises(KnobError) as caught:
        Some.make({"steps": 0, "rate": 9})
    assert [name for name, _ in caught.value.problems] == ["steps", "rate"]


def test_params_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Some.make({}).steps = 4


def test_knobs_tell_a_form_all_it_needs():
    knobs = {each.name: each for each in Some.knobs()}
    assert (knobs["steps"].kind, knobs["steps"].low, knobs["steps"].high, knobs["steps"].paper) == ("int", 1, 1000, 900)
    assert knobs["rate"].log
    assert knobs["mix"].kind == "bool"
    assert knobs["mix"].fold
    assert (knobs["scale"].kind, knobs["scale"].choices) == ("choice", ("tv", "tf"))
    assert (knobs["layers"].kind, knobs["layers"].choices) == ("choices", ("a", "b", "c"))
    assert knobs["data"].kind == "text"


def test_a_field_without_knob_and_an_open_type_are_refused():
    class Plain(Params):
        steps: int = 3

    class Open(Params):
        what: dict = knob({}, "anything")

    with pytest.raises(TypeError, match=r"Plain\.steps must be declared with knob"):
        Plain.make({}, "tiny")
    with pytest.raises(TypeError, match=r"Open\.what: a knob is bool, int"):
        Open.knobs()


def test_preset_is_taken_from_anywhere_in_the_flags():
    assert take_preset(["--steps", "3"]) == ("demo", ["--steps", "3"])
    assert take_preset(["--steps", "3", "--preset", "paper", "--mix", "True"]) == (
        "paper",
        ["--steps", "3", "--mix", "True"],
    )
    assert take_preset(["--preset=tiny"]) == ("tiny", [])
    for wrong in (["--preset"], ["--preset", "huge"]):
        with pytest.raises(ValueError, match="choose tiny, demo, paper"):
            take_preset(wrong)


def test_the_command_line_names_only_what_differs():
    from engine.bench import Setup

    given = Some.make({"layers": ("a", "c"), "steps": 900, "data": "folder:/my pictures"}, "paper")
    line = command("wing.some", given, Setup(seed=3), "paper")
    assert line == "visionarium train wing.some --preset paper --layers a c --data 'folder:/my pictures' --seed 3"
    assert command("wing.some", Some.make({}), Setup()) == "visionarium train wing.some"
