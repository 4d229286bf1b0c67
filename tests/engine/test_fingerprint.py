"""What changes the fingerprint of a demo's code, and what does not."""

from types import SimpleNamespace

import pytest

from engine import receipts

SOURCE = '''"""A toy."""

from engine.ops.schedule import cosine


def train(model, params, bench):
    """Words."""
    return {rate}


METHOD = Method(params=Toy, build=Toy, train=train, exhibits=(Curves(("loss",), "{says}"),), lenses=(),
                claim=Claim("{claim}", figure="loss", arms={{"a": {arm}}}, baseline="b"))
'''


@pytest.fixture
def print_of(tmp_path, monkeypatch):
    """The fingerprint of the toy written with these parts."""
    file = tmp_path / "toy.py"
    monkeypatch.setattr(receipts, "card", lambda id: SimpleNamespace(path=file))

    def made(before="", rate=1, says="It falls.", claim="It learns.", arm="{}", source=SOURCE):
        file.write_text(before + source.format(rate=rate, says=says, claim=claim, arm=arm), encoding="utf-8")
        return receipts.fingerprint("toy")

    return made


def test_words_do_not_count(print_of):
    usual = print_of()
    assert print_of(says="It falls, and rises again.") == usual
    assert print_of(claim="It learns more.") == usual
    assert print_of(before="# A comment\n") == usual


def test_sweeps_do_not_count_nor_that_they_are_imported(print_of):
    usual = print_of(before="from engine.method import Method\n")
    offers = SOURCE.replace("lenses=(),", 'lenses=(), sweeps=(Sweep("a", {{"n": (1,)}}, "b"),),')
    assert print_of(before="from engine.method import Method, Sweep\n", source=offers) == usual
    assert print_of(before="from engine.method import Claim, Method\n") != usual


def test_code_and_what_is_compared_count(print_of):
    usual = print_of()
    assert print_of(rate=2) != usual
    assert print_of(arm="{'rate': 2}") != usual


def test_a_part_that_is_imported_counts(print_of, tmp_path, monkeypatch):
    part = tmp_path / "part.py"
    monkeypatch.setattr(receipts, "_sources", lambda node: [part] if node.module == "engine.ops.schedule" else [])
    part.write_text("def cosine(): return 1\n", encoding="utf-8")
    usual = print_of()
    part.write_text("def cosine(): return 2\n", encoding="utf-8")
    assert print_of() != usual
