import os

import pytest
from fault_table import outcomes

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    import torch

    torch.set_num_threads(1)


def pytest_terminal_summary(terminalreporter):
    """At the end, each fault that was tried, how it went, and what it may cost."""
    went = {"passed": "tried", "failed": "failed", "error": "failed"}
    reports = {}
    for kind, says in went.items():
        for report in terminalreporter.stats.get(kind, []):
            reports[report.nodeid] = says
    items = [item for item in terminalreporter._session.items if item.nodeid in reports]
    if found := outcomes(items, reports):
        terminalreporter.section("fault | tried | lost")
        for fault, said in found.items():
            terminalreporter.write_line(f"{fault.what} | {said} | {fault.lost}")
