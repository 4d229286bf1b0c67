"""Tables on a terminal, or as JSON for a program."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import Any


def show(rows: Sequence[Mapping[str, Any]], as_json: bool, empty: str = "") -> None:
    """Print rows under their names, or as a JSON list. empty: what to say when there are none."""
    if as_json:
        print(json.dumps([dict(row) for row in rows], indent=1, ensure_ascii=False, default=str))
    elif not rows:
        print(empty)
    else:
        names = list(dict.fromkeys(name for row in rows for name in row))
        cells = [names, *([text(row.get(name, "")) for name in names] for row in rows)]
        widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
        room = shutil.get_terminal_size((10_000, 24)).columns if sys.stdout.isatty() else 10_000
        for line in cells:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()[:room])


def text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    return str(value)
