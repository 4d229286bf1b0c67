"""What is chosen on a page stands in its address by its plain name, and an address chooses."""

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

PAGES = [*Path("lab").rglob("*.py"), *Path("pages").glob("*.py")]


def page():
    import streamlit as st

    from lab.parts.address import shown
    from lab.parts.choices import named_choice

    fruits = {"a": "Apple, green", "b": "Banana", "c": "Cherry"}
    named_choice(st.selectbox, "Fruit", list(fruits), key="fruit", usual="a", format_func=fruits.get)
    named_choice(st.selectbox, "Many", [10, 20], key="many", usual=20, format_func="{:,} of them".format)
    named_choice(st.pills, "Wing", list(fruits), key="wing", usual=None, format_func=fruits.get)
    other = named_choice(
        st.selectbox, "Other", ["a"], key="other", usual=None, format_func=str.title,
        accept_new_options=True,
    )  # fmt: skip
    st.markdown(f"other: {other}")
    shown()


def opened(**address):
    app = AppTest.from_function(page)
    for name, value in address.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def test_an_address_chooses_by_plain_names_and_what_it_does_not_name_is_as_usual():
    app = opened(fruit="b", many="10", wing="c", other="of my own")
    assert [box.value for box in app.selectbox] == ["b", 10, "of my own"]
    assert app.button_group[0].value == "c"
    assert app.markdown[0].value == "other: of my own"
    app = opened(fruit="Banana", many="11")
    assert [box.value for box in app.selectbox] == ["a", 20, None]
    assert app.button_group[0].value is None


def test_a_choice_goes_into_the_address_and_the_usual_one_out_of_it():
    app = opened(many="10")
    app.selectbox[0].set_value("c").run()
    app.button_group[0].set_value("b").run()
    assert (app.query_params["fruit"], app.query_params["many"], app.query_params["wing"]) == ("c", "10", "b")
    app.selectbox[0].set_value("a").run()
    app.selectbox[1].set_value(20).run()
    app.button_group[0].set_value(None).run()
    assert not dict(app.query_params)


def test_a_link_to_something_else_on_the_same_page_is_followed():
    app = opened(id="one", fruit="b")
    app.query_params["id"], app.query_params["fruit"] = "two", "c"
    app.run()
    assert app.selectbox[0].value == "c"
    app.query_params["id"] = "three"
    del app.query_params["fruit"]
    app.run()
    assert app.selectbox[0].value == "a"


def test_an_address_that_comes_late_takes_back_no_click_and_is_put_right():
    app = opened(id="one", fruit="b")
    app.selectbox[0].set_value("c").run()
    app.query_params["fruit"] = "b"  # as it was when the next click was sent off
    app.selectbox[1].set_value(10).run()
    assert app.selectbox[0].value == "c"
    assert (app.query_params["fruit"], app.query_params["many"]) == ("c", "10")


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_no_address_holds_what_something_is_only_called(path):
    calls = re.findall(r"st\.\w+\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)", path.read_text(encoding="utf-8"))
    assert [call for call in calls if "format_func" in call and "bind=" in call] == []
