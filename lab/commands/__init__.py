"""The sub-commands: `add` declares one, and what it sets as `run` carries it out and returns the exit code."""
