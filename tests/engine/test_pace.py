"""How long a training takes, from a few of its steps."""

import pytest

from engine import pace
from engine.bench import Bench, Setup
from engine.pace import Loop, Sampling, estimate


def test_a_whole_training_is_the_sum_of_its_steps_evaluations_and_ends():
    """100 steps of 2 s, 10 evaluations of 5 s more, a first step of 9 s and a last of 30 s; then 1 s."""
    loop = Loop(100, 10, first=9.0, plain=[2.0, 1.9, 2.6], look=[7.0], last=30.0)
    found = estimate([loop], 100, tail=1.0)
    assert found == (9.0, 2.0, 5.0, 9 + 98 * 2 + 9 * 5 + 30 + 1)


def test_a_loop_that_was_not_come_to_goes_at_the_pace_of_the_last():
    assert estimate([Loop(10, 1, 1.0, [1.0], [1.0], 1.0), Loop(10, 1, 3.0, [3.0])], 50).whole == 10 + 30 + 30 * 3
    assert estimate([Loop(10, 1, 1.0, [1.0], [1.0], 1.0), Loop(30, 1, 3.0, [3.0])], 40).step == (10 + 90) / 40


def test_with_nothing_seen_the_step_under_way_is_the_least():
    assert estimate([Loop(100, 1)], 100, underway=4.0) == (None, None, None, 400.0)
    assert estimate([], 100) == (None, None, None, None)
    assert estimate([Loop(100, 1, first=2.0)], 100).whole == 200.0
    assert estimate([Loop(1, 1, first=2.0)], 1).whole == 2.0


@pytest.mark.parametrize("steps", [1, 2, 3, 5, pace.PLAIN + 2, 1000])
def test_a_loop_is_sampled_at_its_start_at_an_evaluation_and_at_its_end(steps):
    bench = Sampling(Setup(device="cpu", looks=4), patience=100.0)
    seen = [(step, bench.done, bench.due) for step in bench.steps(steps)]
    assert [done for _, done, _ in seen] == [step + 1 for step, _, _ in seen]
    assert [step for step, _, _ in seen] == sorted({*range(min(steps, pace.PLAIN + 2)), steps - 1})
    assert seen[-1][2], "the last step evaluates"
    if steps > 100:
        assert [due for _, _, due in seen[-2:]] == [True, True]
    assert list(bench.steps(5))[-1] == 4
    assert bench.done == steps + 5


def test_slow_loops_are_cut_short():
    bench = Sampling(Setup(device="cpu"), patience=0.0)
    assert list(bench.steps(4)) == [0, 1, 2, 3]
    assert not bench.skipped
    assert list(bench.steps(1000)) == [0, 1, 2, 999]
    assert bench.skipped


def test_a_usual_bench_does_every_step():
    bench = Bench(Setup(device="cpu"))
    assert [(step, bench.done) for step in bench.steps(4)] == [(i, i + 1) for i in range(4)]
    assert [bench.done for _ in bench.steps(2)] == [5, 6]
