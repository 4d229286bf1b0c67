"""Every method's demo, run to its end, beats the baseline that it states. Minutes: marked learns.

A method whose code is the code of its receipt was measured already, over several seeds, and is not trained again here.
"""

import time

import pytest
import torch

from engine import catalog, receipts
from engine.bench import Bench, Setup
from engine.method import drive


@pytest.mark.learns
@pytest.mark.parametrize("id", catalog.ids())
def test_the_demo_beats_its_baseline(id):
    receipt = receipts.read(id)
    if receipt and receipt.code == receipts.fingerprint(id):
        assert receipt.beats_baseline
        return
    method = catalog.method(id)
    params = method.params.make({}, "demo")
    bench = Bench(Setup.make({"device": "cpu"}))
    started = time.process_time()
    model = method.build(params, bench.facts(params))
    last = {}
    for last in drive(method, model, params, bench):  # noqa: B007
        pass
    figure, baseline = (float(torch.as_tensor(last[name])) for name in (method.claim.figure, method.claim.baseline))
    print(
        f"\n{id}: {method.claim.figure} {figure:.4f}, {method.claim.baseline} {baseline:.4f}, "
        f"{time.process_time() - started:.0f} CPU-s, {bench.done} steps"
    )
    assert (figure > baseline) if method.claim.higher else (figure < baseline)
