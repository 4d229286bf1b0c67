"""Threads that wait asleep: said before torch is loaded, unless somebody said otherwise."""

import os
import subprocess
import sys

import pytest

from engine.threads import wait_asleep


def test_what_somebody_set_stays(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    wait_asleep()
    assert os.environ["OMP_WAIT_POLICY"] == "ACTIVE"


@pytest.mark.parametrize("module", ["lab.asgi", "engine.__main__"])
def test_entries_load_no_torch_before(module):
    code = f"import sys, {module}; from engine.threads import wait_asleep; wait_asleep(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
