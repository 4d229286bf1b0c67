"""What is tried to break: the markers `@pytest.mark.fault(...)` of the tests, as the table that the README shows.

`python tests/fault_table.py` prints it; `pytest -m faults` prints at its end how each fault of it went.
"""

import ast
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parent


class Fault(NamedTuple):
    """A row: what happens, what is then expected, and what is lost."""

    what: str
    expected: str
    lost: str = "nothing"


def marked():
    """The faults in the order of files and lines."""
    for path in sorted([*TESTS.glob("faults/test_*.py"), *TESTS.glob("browser/test_*.py")]):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.fault":
                words = {word.arg: ast.literal_eval(word.value) for word in node.keywords}
                yield Fault(*map(ast.literal_eval, node.args), **words)


def markdown():
    rows = ["| fault | what is expected | lost |", "|---|---|---|"]
    return "\n".join([*rows, *(f"| {' | '.join(fault)} |" for fault in dict.fromkeys(marked()))])


def outcomes(items, reports):
    """Each fault among the test items, with how its tests went: tried, failed or skipped, the worst of them."""
    worst = {"skipped": 0, "tried": 1, "failed": 2}
    found = {}
    for item in items:
        for mark in item.iter_markers("fault"):
            went = reports.get(item.nodeid, "skipped")
            fault = Fault(*mark.args, **mark.kwargs)
            found[fault] = max(found.get(fault, went), went, key=worst.get)
    return found


if __name__ == "__main__":
    print(markdown())
