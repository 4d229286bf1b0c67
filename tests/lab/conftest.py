import sys

import pytest
from patience_runs import begin, home  # noqa: F401 - fixtures
from waiting_runs import alive, planned  # noqa: F401 - fixtures


@pytest.fixture(autouse=True)
def _at_the_machine(monkeypatch):
    """Who opens a page sits at the lab's machine, unless a test says otherwise."""
    monkeypatch.setattr("streamlit.runtime.context.ContextProxy.ip_address", None)


@pytest.fixture(autouse=True)
def _own_main():
    """What runs a page puts it in the place of the main module, which processes that are spawned later would import."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main
