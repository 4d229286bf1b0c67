"""The process of `lab.atlas.umap_learn`: compiles umap-learn once, then makes maps until its input ends."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

from lab.atlas.umap_learn import receive, send


def work(asked: dict[str, Any]) -> np.ndarray:
    """The map (N, 2) of features (N, D)."""
    import umap

    known = {"n_neighbors": "n_neighbors", "min_dist": "min_dist", "metric": "metric", "epochs": "n_epochs",
             "seed": "random_state", "init": "init"}  # fmt: skip
    options = {known[name]: value for name, value in asked.items() if name in known}
    return umap.UMAP(**options).fit_transform(asked["features"]).astype(np.float32)


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what umap-learn prints goes to the lab's log, not into an answer
    work({"features": np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32), "epochs": 2})
    while True:
        try:
            asked = receive(sys.stdin.buffer)
        except ValueError:
            return
        try:
            send(answers, places=work(asked))
        except Exception as error:  # whatever it was, the visitor is told, and the process stays warm
            send(answers, error=f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
