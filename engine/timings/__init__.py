"""How fast parts of the engine are here, beside others' that do the same, in one run."""
