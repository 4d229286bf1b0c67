"""Runs: start them, list them, look into them, end them. A run is a folder and a process, never a child of a page."""

from lab.runs.check import check
from lab.runs.index import all_runs, find
from lab.runs.run import Run, start
from lab.runs.series import Series
from lab.runs.state import ENDED, LIVE

__all__ = ["ENDED", "LIVE", "Run", "Series", "all_runs", "check", "find", "start"]
