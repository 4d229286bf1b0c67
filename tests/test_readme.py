"""What the README shows is true."""

import re
from pathlib import Path

import fault_table
import torch

from engine import catalog, receipts
from engine.bench import Bench, Setup
from engine.method import drive

README = Path(__file__).parent.parent / "README.md"


def test_the_example_of_a_method_is_a_method(tmp_path, monkeypatch):
    code = re.search(r"```python\n(r\"\"\".*?)```", README.read_text("utf-8"), re.DOTALL)[1]
    (tmp_path / "nearest_average_example.py").write_text(code, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(catalog, "_modules", lambda: {"metric.nearest": "nearest_average_example"})
    card = catalog.card("metric.nearest")
    assert card.title == "Nearest average"
    assert [symbol for symbol, _ in card.terms] == ["$w_k$", "$x$"]
    method = catalog.method("metric.nearest")
    params = method.params.make({"steps": 60})
    bench = Bench(Setup(device="cpu"))
    model = method.build(params, bench.facts(params))
    *_, last = drive(method, model, params, bench)
    assert last["accuracy"] > 0.6
    (answer,) = method.lenses[0].answers(model, method.lenses[0].params.make({}), None, bench)
    assert answer["class pictures"].shape == (10, 1, 28, 28)
    assert torch.isfinite(answer["class pictures"]).all()


def test_the_table_of_receipts_is_the_measured_one():
    shown = re.search(r"<!-- receipts -->\n(.*)<!-- /receipts -->", README.read_text("utf-8"), re.DOTALL)[1]
    assert shown.strip() == receipts.markdown().strip(), "run `python -m engine.receipts` to write the table again"


def test_the_table_of_faults_is_that_of_the_tests():
    shown = re.search(r"<!-- faults -->\n(.*)<!-- /faults -->", README.read_text("utf-8"), re.DOTALL)[1]
    assert shown.strip() == fault_table.markdown(), "run `python tests/fault_table.py` for the table as it is now"


def test_a_row_of_the_table_is_a_marker_on_a_test():
    rows = list(fault_table.marked())
    assert len(rows) == len({row.what for row in rows}) > 20


def test_the_commands_of_the_readme_exist():
    from lab.cli import parser

    commands = set(re.findall(r"^visionarium (\w+)", README.read_text("utf-8"), re.MULTILINE))
    known = {name for action in parser()._actions if action.choices for name in action.choices}
    assert commands <= known
