"""Sentences of the Python standard library's docstrings, for methods that read."""

from __future__ import annotations

import gzip

from engine.assets import asset


def sentences() -> list[str]:
    """8 413 English sentences, in the order of the library's modules."""
    with gzip.open(asset("text/docstring_sentences.txt.gz"), "rt", encoding="utf-8") as file:
        return file.read().splitlines()
