"""A run as code that retrains it with the engine alone: one Python file, or the same as a notebook.

Both are the same cells. The file is in the percent format, which editors and Jupyter read as cells too.
"""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from engine.catalog import card, method
from engine.params import Params
from engine.provenance import read_provenance
from lab.runs import Run

COMMIT = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28}\b")
"""A whole commit, and the part of it that people read."""


class Cell(NamedTuple):
    """A cell of the notebook, a part of the file."""

    kind: Literal["markdown", "code"]
    text: str


IMPORTS = """import json
from pathlib import Path

{threads}from engine.bench import Bench, Setup
from engine.catalog import method
from engine.checkpoint import Checkpoint, write_checkpoint
from engine.method import drive
from engine.record import is_number"""

WHAT = """METHOD = method({id})
params = METHOD.params.make(dict(
{params}
))
setup = Setup.make(dict(
{setup}
))"""

TRAIN = """bench = Bench(setup)
facts = bench.facts(params)
model = METHOD.build(params, facts)
rows = []
for report in drive(METHOD, model, params, bench):
    numbers = {name: float(value) for name, value in report.items() if is_number(value)}
    rows.append({"step": bench.done, **numbers})
    if bench.due:
        print(json.dumps(rows[-1]))"""

SAVE = """name = {name}
state = model.state_dict(), bench.state()
checkpoint = Checkpoint({id}, params.model_dump(mode="json"), facts, bench.done, *state)
write_checkpoint(Path(f"{{name}}.safetensors"), checkpoint)
Path(f"{{name}}.jsonl").write_text("".join(json.dumps(row) + "\\n" for row in rows))
print(f"{{len(rows)}} steps: {{name}}.safetensors, and the numbers of every step in {{name}}.jsonl")"""


def script(run: Run) -> str:
    """A Python file. ValueError when the run's method is not here or takes other knobs by now."""
    parts = []
    for cell in cells(run):
        if cell.kind == "markdown":
            parts.append("# %% [markdown]\n" + "\n".join(f"# {line}".rstrip() for line in cell.text.split("\n")))
        else:
            parts.append(f"# %%\n{cell.text}")
    return "\n\n".join(parts) + "\n"


def notebook(run: Run) -> str:
    """The same as a notebook (format 4.5), without output. ValueError as in `script`."""
    found = []
    for place, cell in enumerate(cells(run)):
        more: dict[str, Any] = {"execution_count": None, "outputs": []} if cell.kind == "code" else {}
        text = html.escape(cell.text, quote=False) if cell.kind == "markdown" else cell.text
        lines = text.splitlines(keepends=True)
        found.append({"cell_type": cell.kind, "id": f"cell-{place}", "metadata": {}, "source": lines, **more})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": found, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def cells(run: Run) -> list[Cell]:
    """What both forms hold. Nothing of the run's words becomes code: they are quoted, or stand in comments."""
    from engine.bench import Setup

    plan, told = run.plan, read_provenance(run.folder)
    found = method(plan.method)
    params, setup = found.params.make(plan.values), Setup.make(plan.setup)
    threads = told.get("machine", {}).get("threads")
    several = isinstance(threads, int) and not isinstance(threads, bool)
    imports = IMPORTS.format(threads="import torch\n\n" if several else "")
    if several:
        imports += f"\n\ntorch.set_num_threads({threads})  # as in the run: it decides the last digits of a sum"
    what = WHAT.format(id=literal(plan.method), params=knobs(params), setup=knobs(setup))
    return [
        Cell("markdown", "\n".join(head(run, told))),
        Cell("code", imports),
        Cell("code", what),
        Cell("code", TRAIN),
        Cell("code", SAVE.format(name=literal(f"{plan.method}-{run.id}"), id=literal(plan.method))),
    ]


def knobs(params: Params) -> str:
    """A line a knob: its value, what it does, and the usual value where this differs."""
    lines = []
    for knob in params.knobs():
        value = getattr(params, knob.name)
        usual = "" if value == knob.default else f" (usual: {_line(knob.default)})"
        lines.append(f"    {knob.name}={literal(value)},  # {_line(knob.help)}{usual}")
    return "\n".join(lines)


def literal(value: Any) -> str:
    """A knob's value as Python."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def head(run: Run, told: Mapping[str, Any]) -> Iterator[str]:
    """Title, how to run it, and where the numbers of the run came from."""
    plan, about = run.plan, card(run.plan.method)
    name = f" “{_line(plan.name)}”" if plan.name else ""
    yield f"# {about.title}: the run {run.id}{name}, trained anew"
    yield ""
    yield f"{about.authors}. {about.venue}. {about.source}."
    yield "It needs the engine alone, not the lab. On a CPU, with the versions below, every number is the run's."
    yield ""
    yield f"- started: {time.strftime('%Y-%m-%d %H:%M', time.localtime(plan.created))}"
    for topic, says in facts(told):
        yield f"- {topic}: {says}"


def facts(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A run's provenance as topics and sentences, each in a line; of damaged parts nothing."""
    if not told:
        yield "provenance", "this run kept none; it is from an earlier version"
        return
    known = {key: value for key, value in told.items() if isinstance(value, Mapping)}
    code = known.get("code", {})
    dirty = ", with changes that were not committed" if code.get("dirty") else ""
    commit = f", commit {_line(code['commit'])[:12]}{dirty}" if code.get("commit") else ""
    yield "code", f"visionarium {_line(code.get('visionarium'))}{commit}; method {_line(code.get('method'))}"
    for name, data in known.get("data", {}).items():
        if isinstance(data, Mapping):
            files = f"; {_line(data['files'])} over {_line(data['of'])}" if {"files", "of"} <= data.keys() else ""
            says = f"{_line(data.get('images'))} images, {_line(data.get('content'))} over {_line(data.get('over'))}"
            yield f"data {_line(name)}", says + files
    yield "packages", ", ".join(f"{_line(name)} {_line(value)}" for name, value in known.get("packages", {}).items())
    for topic, value in known.get("machine", {}).items():
        yield _line(topic), _line(value)
    yield "seed", _line(known.get("seeds", {}).get("seed"))
    for change in told.get("changes") or []:
        was, now = (COMMIT.sub(r"\1", _line(change.get(key))) for key in ("was", "now"))
        yield f"changed on resume at step {_line(change.get('step'))}", f"{_line(change.get('what'))}: {was} → {now}"


def _line(value: Any) -> str:
    """Any value as words in one line."""
    return " ".join(str(value).split())
