"""The files that ship with the lab: where they are, whether they are whole, and whose they are.

`assets/MANIFEST.json` is the one truth: a row a file, with its source, licence, credit, bytes and SHA-256. To ship
another file, put it under `assets/` and call `record` with its row, or write the row by hand and run
`python -m engine.assets`: either measures every file and writes `assets/LICENSES.md` from the rows.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "assets"
MADE = ("methods/", "lenses/", "maps/")
"""What `visionarium assets build` and `receipts --measure` write."""


@dataclass(frozen=True)
class Asset:
    """One shipped file. file: its path under `assets/`. bytes and sha256 are measured, never written by hand."""

    file: str
    source: str
    licence: str
    credit: str = ""
    note: str = ""
    bytes: int = 0
    sha256: str = ""


def asset(name: str, root: Path = ROOT) -> Path:
    """The path of a shipped file, e.g. asset("photos/coffee.jpg"); FileNotFoundError says how to get it back."""
    path = root / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; it ships with the lab: restore it with `git checkout -- {path}`")
    return path


def manifest(root: Path = ROOT) -> list[Asset]:
    """Every shipped file's row, sorted by path."""
    return [Asset(**row) for row in json.loads(asset("MANIFEST.json", root).read_text("utf-8"))]


def faults(root: Path = ROOT) -> list[tuple[str, str, str]]:
    """(file, what is wrong, what to do) of each file that is missing or altered; empty when all is whole."""
    found = []
    for row in manifest(root):
        path = root / row.file
        if not path.is_file():
            found.append((row.file, "is missing", f"restore it with `git checkout -- {path}`"))
        elif _sha256(path) != row.sha256:
            found.append((row.file, "is not the file that was recorded", f"restore it with `git checkout -- {path}`"))
    return found


def strays(root: Path = ROOT) -> list[str]:
    """Files under `assets/` that have no row, so that nobody knows whose they are."""
    return sorted(_files(root) - {row.file for row in manifest(root)})


def record(rows: Iterable[Asset] = (), root: Path = ROOT) -> None:
    """Add or replace `rows`, measure every file, and write MANIFEST.json and LICENSES.md.

    What lies under `methods/<id>/`, `lenses/` and `maps/` is made by the lab itself and needs no row of its own.
    ValueError when another file under `assets/` has none, so that nothing ships without a licence.
    """
    files = _files(root)
    made = [_made(name) for name in files if name.startswith(MADE)]
    given = [row for row in [*manifest(root), *rows] if not row.file.startswith(MADE)]
    known = {row.file: row for row in [*given, *made]}
    if strangers := files - known.keys():
        raise ValueError(
            f"no source and licence recorded for {', '.join(sorted(strangers))}; add rows to MANIFEST.json"
        )
    measured = [
        replace(row, bytes=asset(name, root).stat().st_size, sha256=_sha256(root / name))
        for name, row in sorted(known.items())
    ]
    table = json.dumps([asdict(row) for row in measured], indent=1, ensure_ascii=False)
    (root / "MANIFEST.json").write_text(table + "\n", "utf-8")
    (root / "LICENSES.md").write_text(_licences(measured, root), "utf-8")


def _made(name: str) -> Asset:
    """The row of methods/<id>/...: a receipt, or what the method's page shows at once; or of lenses/..., maps/..."""
    id = name.split("/")[1] if name.startswith("methods/") else name.split("/")[0]
    command = f"receipts {id} --measure" if name.endswith("/receipt.json") else f"assets build {id}"
    command = f"sweep {id}" if "/sweep-" in name else command
    return Asset(name, f"made by `visionarium {command}`", "Apache-2.0")


def _licences(rows: list[Asset], root: Path) -> str:
    total = sum(row.bytes for row in rows) / 1e6
    lines = [
        "# Whose the shipped files are",
        "",
        f"{len(rows)} files, {total:.1f} MB. Written by `python -m engine.assets` from `MANIFEST.json`; do not edit.",
        "",
        "| file | source | licence | credit | bytes | SHA-256 |",
        "|---|---|---|---|---:|---|",
    ]
    for row in rows:
        source = f"{row.source}; {row.note}" if row.note else row.source
        lines.append(f"| {row.file} | {source} | {row.licence} | {row.credit} | {row.bytes} | `{row.sha256}` |")
    for text in sorted((root / "licences").glob("*.txt")):
        lines += ["", f"## {text.stem}", "", "```", text.read_text("utf-8").strip(), "```"]
    return "\n".join(lines) + "\n"


def _files(root: Path) -> set[str]:
    """Every file that needs a row: all but the two lists themselves and the licence texts."""
    own = {"MANIFEST.json", "LICENSES.md"}
    names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    return {name for name in names - own if not name.startswith("licences/")}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    try:
        record()
    except (ValueError, OSError) as error:
        sys.exit(f"assets: {error}")
