"""The code that a piece of code reaches by name: through the engine's parts, definition by definition."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
PARTS = tuple(f"engine.{part}" for part in ("methods", "nets", "ops", "losses", "metrics", "augment", "data"))
"""Where names are followed; what is imported from elsewhere counts by its name alone."""


class Module:
    """A file's statements by the names that they bind; `loose` are those that bind none, and so always run."""

    def __init__(self, source: str):
        self.bound: dict[str, list[ast.stmt]] = {}
        self.loose: list[ast.stmt] = []
        for statement in ast.parse(source).body:
            names = list(binds(statement))
            for name in names:
                self.bound.setdefault(name, []).append(statement)
            if not names and not _says_nothing(statement):
                self.loose.append(statement)


def binds(statement: ast.AST) -> Iterator[str]:
    """The names that a statement at the top of a file gives a meaning, also within `if`, `try` or `with`."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name
    elif isinstance(statement, (ast.Import, ast.ImportFrom)):
        for alias in statement.names:
            yield alias.asname or alias.name.partition(".")[0]
    elif isinstance(statement, ast.Name):
        if isinstance(statement.ctx, ast.Store):
            yield statement.id
    else:
        for child in ast.iter_child_nodes(statement):
            yield from binds(child)


def _says_nothing(statement: ast.stmt) -> bool:
    """A docstring, or what stands under a constant to explain it."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


@lru_cache(256)
def _parsed(source: str) -> Module:
    return Module(source)


def module(path: Path) -> Module:
    """The file as it is now."""
    return _parsed(path.read_text(encoding="utf-8"))


def file_of(name: str) -> Path | None:
    """The file of a module in one of the engine's parts; None for all others."""
    if not name.startswith(PARTS):
        return None
    stem = ROOT / name.replace(".", "/")
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.exists()), None)


class Reach:
    """All that was reached so far, as the text of syntax trees: without comments and docstrings.

    It does not tell where a definition stands, so that moving one to another file changes nothing.
    """

    def __init__(
        self,
        trim: Callable[[ast.Call], None] = lambda call: None,
        told: Callable[[ast.Call], Iterable[tuple[Path, str]]] = lambda call: (),
    ):
        """trim: takes from a call, in place, what is not to count. told: files and names in them that a call, so
        trimmed, reaches by strings."""
        self.text: set[str] = set()
        self._trim, self._told = trim, told
        self._modules: dict[Path, Module] = {}
        self._seen: set[tuple[Path, str]] = set()

    def node(self, path: Path, node: ast.AST) -> None:
        """Take in `node` of the file `path`, and what it names."""
        node = copy.deepcopy(node)
        for each in ast.walk(node):
            if isinstance(each, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(each) is not None:
                each.body = each.body[1:]
            elif isinstance(each, ast.Call):
                self._trim(each)
        self.text.add(ast.dump(node))
        attributes: set[ast.AST] = set()
        for each in ast.walk(node):  # an attribute comes before the name that it belongs to
            if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
                if (there := self._as_module(path, each.value.id)) is not None:
                    attributes.add(each.value)
                    self.name(there, each.attr)
            elif isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load) and each not in attributes:
                self.name(path, each.id)
            elif isinstance(each, ast.ImportFrom):
                for alias in each.names:
                    self._imported(each.module or "", alias.name)
            elif isinstance(each, ast.Call):
                for there, name in self._told(each):
                    self.name(there, name)

    def name(self, path: Path, name: str) -> None:
        """Take in what `name` means in a file, and what always runs when the file is imported."""
        found = self._module(path)
        if (path, "") not in self._seen:
            self._seen.add((path, ""))
            for statement in found.loose:
                self.node(path, statement)
        if (path, name) in self._seen or name not in found.bound:
            return
        self._seen.add((path, name))
        for statement in found.bound[name]:
            if isinstance(statement, ast.ImportFrom):
                alias = next(each for each in statement.names if name == (each.asname or each.name))
                self._imported(statement.module or "", alias.name)
            elif isinstance(statement, ast.Import):
                self.text.add(f"import {name}")
            else:
                self.node(path, statement)

    def _imported(self, source: str, name: str) -> None:
        """Take in what `from source import name` gives."""
        if (path := file_of(f"{source}.{name}")) is not None:  # a module as a whole, of which nobody named a part
            self.names(path, self._module(path).bound)
        elif (path := file_of(source)) is not None:
            self.name(path, name)
        else:
            self.text.add(f"from {source} import {name}")

    def names(self, path: Path, names: Iterable[str]) -> None:
        for name in names:
            self.name(path, name)

    def _module(self, path: Path) -> Module:
        if path not in self._modules:
            self._modules[path] = module(path)
        return self._modules[path]

    def _as_module(self, path: Path, name: str) -> Path | None:
        """The file of the module that `name` stands for in a file, where it is one of the engine's parts."""
        for statement in self._module(path).bound.get(name, []):
            if isinstance(statement, ast.ImportFrom):
                for alias in statement.names:
                    if name == (alias.asname or alias.name):
                        return file_of(f"{statement.module}.{alias.name}")
        return None
