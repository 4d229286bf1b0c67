"""The order of a waiting line against its slow definition, and what must hold whatever the tickets are."""

import random
from collections import Counter

import pytest

from lab.runs.order import Ticket, due, order


def tickets(seed, visitors="abc", wants=("turn", "turn", "turn", "hold", "now", "beside")):
    """Some tickets; ranks may be equal, and planned times too."""
    chance = random.Random(seed)
    return [
        Ticket(f"run-{i}", float(chance.randint(0, 9)), chance.choice(visitors), float(chance.randint(0, 9)),
               chance.choice(wants))
        for i in range(chance.randint(0, 12))
    ]  # fmt: skip


def memory(seed):
    chance = random.Random(seed + 1000)
    return ({visitor: chance.randint(0, 2) for visitor in "abc"}, {visitor: chance.randint(0, 5) for visitor in "ab"})


def slowly(tickets, running, served):
    """One turn after another: who has least, then who waited longest, then the smallest rank."""
    line = sorted((one for one in tickets if one.wants in ("now", "beside")), key=lambda one: one.age)
    rest = {}
    for one in sorted((one for one in tickets if one.wants == "turn"), key=lambda one: one.age):
        rest.setdefault(one.visitor, []).append(one)
    have = Counter(running)
    while any(rest.values()):
        visitor = min(
            (visitor for visitor in rest if rest[visitor]),
            key=lambda visitor: (have[visitor], served.get(visitor, 0), rest[visitor][0].age),
        )
        line.append(rest[visitor].pop(0))
        have[visitor] += 1
    return line + sorted((one for one in tickets if one.wants == "hold"), key=lambda one: one.age)


@pytest.mark.parametrize("seed", range(200))
def test_the_order_is_that_of_one_turn_after_another(seed):
    assert order(tickets(seed), *memory(seed)) == slowly(tickets(seed), *memory(seed))


@pytest.mark.parametrize("seed", range(50))
def test_everybody_is_in_the_order_once_whoever_asked_first(seed):
    line = tickets(seed)
    shuffled = random.Random(seed).sample(line, len(line))
    assert sorted(order(line)) == sorted(line)
    assert order(shuffled, *memory(seed)) == order(line, *memory(seed))


@pytest.mark.parametrize("seed", range(50))
def test_a_single_visitor_goes_by_rank_and_then_by_planning(seed):
    line = tickets(seed, visitors="a", wants=("turn",))
    assert order(line, *memory(seed)) == sorted(line, key=lambda one: (one.rank, one.created, one.folder))


def serve(line, limit=None):
    """Let one run at a time start and end until nobody may start; yields who was served."""
    served = {}
    while first := due(order(line, {}, served), {}, limit):
        line.remove(first)
        served[first.visitor] = max(served.values(), default=0) + 1
        yield first


@pytest.mark.parametrize("seed", range(100))
def test_what_is_held_never_runs_and_all_others_do(seed):
    line = tickets(seed)
    held = [one for one in line if one.wants == "hold"]
    assert sorted(serve(line)) == sorted(one for one in tickets(seed) if one.wants != "hold")
    assert sorted(line) == sorted(held)


@pytest.mark.parametrize("seed", range(20))
def test_nobody_starves_while_others_go_on_asking(seed):
    """Two visitors put in a run for each that starts, planned as early as they like: each third turn is c's."""
    chance = random.Random(seed)
    line = [Ticket(f"c-{i}", 50.0, "c", 50.0 + i) for i in range(5)]
    line += [Ticket(f"{visitor}-{i}", i, visitor, i) for visitor in "ab" for i in range(3)]
    served, starts = {}, []
    for turn in range(15):
        first = due(order(line, {}, served), {}, None)
        line.remove(first)
        starts.append(first.visitor)
        served[first.visitor] = turn + 1
        if first.visitor != "c":
            rank = float(chance.randint(0, 99))
            line.append(Ticket(f"{first.visitor}-{turn + 10}", rank, first.visitor, rank))
    assert [starts[i : i + 3].count("c") for i in range(0, 15, 3)] == [1] * 5


def test_who_has_a_slot_goes_after_who_has_none():
    line = [Ticket("a-1", 1, "a", 1), Ticket("a-2", 2, "a", 2), Ticket("b-1", 3, "b", 3)]
    assert [one.folder for one in order(line)] == ["a-1", "b-1", "a-2"]
    assert [one.folder for one in order(line, {"a": 1})] == ["b-1", "a-1", "a-2"]
    assert [one.folder for one in order(line, {}, {"a": 7})] == ["b-1", "a-1", "a-2"]


def test_a_limit_passes_by_who_has_enough_but_not_the_hurried():
    line = order([Ticket("a-1", 1, "a", 1), Ticket("b-1", 2, "b", 2)], {"a": 1, "b": 1})
    assert due(line, {"a": 1, "b": 1}, None).folder == "a-1"
    assert due(line, {"a": 1, "b": 0}, 1).folder == "b-1"
    assert due(line, {"a": 1, "b": 1}, 1) is None
    assert due(order([*line, Ticket("a-2", 3, "a", 3, "now")]), {"a": 1, "b": 1}, 1).folder == "a-2"
