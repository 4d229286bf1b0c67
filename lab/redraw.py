"""The script that redraws a figure: its values and the very code that drew it, in one file, without the lab."""

from __future__ import annotations

import ast
import base64
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from engine.method import Boxes, Exhibit, Film, Masks, Overlay, Pictures
from lab import pictures
from lab.figures import Sheet, draw
from lab.plots import Plot

CALLS = {
    Pictures: "mosaic(*pictures(names, values))",
    Overlay: "mosaic(*overlay(names, values))",
    Boxes: "mosaic(*boxes(names, values))",
    Masks: "mosaic(*masks(names, values))",
    Film: "strip(reel(names, values))",
}
IMPORTS = """from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT = "{font}"  # without this file the words are set in Pillow's own font
"""
PLOT = """import json
from pathlib import Path

import vl_convert  # pip install vl-convert-python

SPECS = json.loads({specs})
for i, spec in enumerate(SPECS):
    Path(f"figure{{i or ''}}.png").write_bytes(vl_convert.vegalite_to_png(spec, scale=1.5))
"""
TABLE = """import csv

COLUMNS = {columns!r}
with open("figure.csv", "w", newline="") as file:
    csv.writer(file).writerows([COLUMNS, *zip(*COLUMNS.values())])
"""


def script(exhibit: Exhibit, values: Mapping[str, Any]) -> str:
    """A Python script that draws this exhibit again and writes figure.png (a table: figure.csv)."""
    head = json.dumps(exhibit.says, ensure_ascii=False) + "\n\n"
    call = CALLS.get(type(exhibit))
    if isinstance(exhibit, Pictures) and exhibit.under:
        call = f"captioned(names, values, {exhibit.under!r})"
    if call:
        end = f'\n\n{call}.save("figure.png")\n'
        return head + IMPORTS.format(font=pictures.FONT) + _numbers(exhibit, values) + _code(call) + end
    figures = draw(exhibit, values)
    if isinstance(figures[0], Sheet):
        return head + TABLE.format(columns=figures[0].columns)
    specs = [figure.whole() for figure in figures if isinstance(figure, Plot)]
    return head + PLOT.format(specs=json.dumps(json.dumps(specs)))


def _numbers(exhibit: Exhibit, values: Mapping[str, Any]) -> str:
    """Lines that restore the names and values that the exhibit draws."""
    names = (*exhibit.names, *getattr(exhibit, "under", ()), "classes")
    kept = {name: values[name] for name in names if name in values}
    arrays = {name: np.asarray(value) for name, value in kept.items() if not isinstance(value, list)}
    file = io.BytesIO()
    np.savez_compressed(file, **{str(i): array for i, array in enumerate(arrays.values())})  # type: ignore[arg-type]
    packed = base64.b85encode(file.getvalue()).decode()
    return f"""
names = {list(exhibit.names)!r}
packed = np.load(io.BytesIO(base64.b85decode({packed!r})))
values = {{name: packed[str(i)] for i, name in enumerate({list(arrays)!r})}}
values |= { ({name: value for name, value in kept.items() if name not in arrays})!r}
"""


def _code(call: str) -> str:
    """The parts of `lab.pictures` that `call` needs, directly or not, in their order."""
    source = Path(pictures.__file__).read_text(encoding="utf-8")
    parts = {name: node for node in ast.parse(source).body for name in _defined(node) if name != "FONT"}
    needed: set[str] = set()
    waiting = [call]
    while waiting:
        for name in _names(waiting.pop()) & parts.keys() - needed:
            needed.add(name)
            waiting.append(ast.unparse(parts[name]))
    return "\n\n".join(ast.get_source_segment(source, parts[name]) or "" for name in parts if name in needed)


def _defined(node: ast.stmt) -> list[str]:
    """The names that a statement at the top of a module defines."""
    if isinstance(node, ast.FunctionDef):
        return [node.name]
    return [target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)]


def _names(source: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
