"""What changes the fingerprint of a demo's code, and what does not."""

from types import SimpleNamespace

import pytest

from engine import closure, receipts

SOURCE = '''"""A toy."""

from engine.ops.schedule import cosine


def train(model, params, bench):
    """Words."""
    return cosine() * {rate}


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


def test_what_is_offered_does_not_count_nor_what_it_imports(print_of):
    usual = print_of()
    offers = SOURCE.replace("lenses=(),", 'lenses=(Lens(look),), sweeps=(Sweep("a", {{"n": (1,)}}, "b"),),')
    assert print_of(before="from engine.method import Lens, Sweep\n\ndef look(): pass\n", source=offers) == usual


def test_what_a_knob_says_and_allows_does_not_count_but_its_value(print_of):
    def knob(call):
        return print_of(before=f"class Toy:\n    n: int = knob({call})\n\n")

    usual = knob('1, "steps", 0, 9, paper=3')
    assert knob('1, "how many steps", 0, 99, fold=True') == usual
    assert knob('2, "steps", 0, 9, paper=3') != usual


def test_code_and_what_is_compared_count(print_of):
    usual = print_of()
    assert print_of(rate=2) != usual
    assert print_of(arm="{'rate': 2}") != usual


def test_data_that_a_knob_or_a_claim_names_counts(print_of, tmp_path, monkeypatch):
    monkeypatch.setattr(closure, "ROOT", tmp_path)
    monkeypatch.setattr(receipts, "LOADERS", {"toys": "toys.load", "dolls": "dolls.load"})
    (tmp_path / "engine/data").mkdir(parents=True)

    def holds(name, value):
        (tmp_path / "engine/data" / f"{name}.py").write_text(f"def load(): return {value}\n", encoding="utf-8")

    def named():
        return print_of(before='class Toy:\n    data: str = knob("toys:red", "or dolls")\n\n', arm="{'data': 'dolls'}")

    holds("toys", 1)
    holds("dolls", 1)
    usual = named()
    holds("toys", 2)
    assert named() != usual
    holds("toys", 1)
    assert named() == usual
    holds("dolls", 2)
    assert named() != usual


def test_a_method_whose_demo_is_used_counts(print_of, tmp_path, monkeypatch):
    other, toy = tmp_path / "other.py", receipts.card("")
    monkeypatch.setattr(receipts, "ids", lambda: ["other"])
    monkeypatch.setattr(receipts, "card", lambda id: SimpleNamespace(path=other) if id == "other" else toy)
    other.write_text("def train(): return 1\n\nMETHOD = Method(train=train)\n", encoding="utf-8")
    knob = 'class Toy:\n    start: str = knob("other", "whose features")\n\n'
    usual, without = print_of(before=knob), print_of()
    other.write_text("def train(): return 2\n\nMETHOD = Method(train=train)\n", encoding="utf-8")
    assert print_of(before=knob) != usual
    assert print_of() == without


@pytest.fixture
def part(tmp_path, monkeypatch):
    """Writes the file that stands for a module of the engine."""
    files = {"engine.ops": tmp_path / "__init__.py"}
    files["engine.ops"].write_text("", encoding="utf-8")
    monkeypatch.setattr(closure, "file_of", files.get)

    def write(source, name="engine.ops.schedule"):
        files[name] = tmp_path / f"{name}.py"
        files[name].write_text(source, encoding="utf-8")

    return write


def test_a_part_that_is_named_counts(print_of, part):
    part("def cosine(): return 1\n")
    usual = print_of()
    part("def cosine(): return 2\n")
    assert print_of() != usual


def test_its_neighbour_in_the_same_file_does_not(print_of, part):
    part("def cosine(): return 1\n")
    usual = print_of()
    part("import math\n\ndef cosine(): return 1\n\ndef linear(): return math.pi\n")
    assert print_of() == usual


def test_what_the_part_names_counts(print_of, part):
    part("HALF = 1 / 2\n\ndef cosine(): return HALF\n")
    usual = print_of()
    part("HALF = 1 / 3\n\ndef cosine(): return HALF\n")
    assert print_of() != usual


def test_what_always_runs_counts(print_of, part):
    part("TABLE = {}\n\ndef cosine(): return 1\n")
    usual = print_of()
    part("TABLE = {}\nTABLE.update(a=1)\n\ndef cosine(): return 1\n")
    assert print_of() != usual


def test_a_definition_may_move(print_of, part):
    part("def half(): return 2\n\ndef cosine(): return half()\n")
    usual = print_of()
    part("def half(): return 2\n", "engine.ops.halves")
    part("from engine.ops.halves import half\n\ndef cosine(): return half()\n")
    assert print_of() == usual
    part("def half(): return 3\n", "engine.ops.halves")
    assert print_of() != usual


@pytest.mark.parametrize(
    "how",
    [
        "from engine.ops import halves\n\ndef cosine(): return halves.half()\n",
        "def cosine():\n    from engine.ops.halves import half\n    return half()\n",
    ],
    ids=["module", "function"],
)
def test_it_is_found_through_its_module_and_within_a_function(print_of, part, how):
    part(how)
    part("def half(): return 2\n\ndef third(): return 3\n", "engine.ops.halves")
    usual = print_of()
    part("def half(): return 2\n\ndef third(): return 4\n", "engine.ops.halves")
    assert print_of() == usual
    part("def half(): return 1\n\ndef third(): return 3\n", "engine.ops.halves")
    assert print_of() != usual
