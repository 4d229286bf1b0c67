import pytest
import torch

from engine.ops.choose import choose, host_generator

FUNCTIONS = {
    0: lambda rows, amount: rows + amount[:, None],
    2: lambda rows, amount: rows * amount[:, None],
    5: lambda rows, _: rows.flip(1),
}


def one_by_one(rows, kind, functions, *arguments):
    """The definition: row b is what its own function makes of it alone."""
    chosen = []
    for b, value in enumerate(kind.tolist()):
        alone, *given = (each[b : b + 1] for each in (rows, *arguments))
        chosen.append(functions[value](alone, *given) if value in functions else alone)
    return torch.cat(chosen)


@pytest.mark.parametrize("kinds", [[0, 1, 2, 5, 2, 0, -1, 5], [2] * 8, [7] * 8, [5, 0] * 4])
def test_each_row_gets_its_own_function_and_argument(kinds):
    rows, amount, kind = torch.randn(8, 3), torch.randn(8), torch.tensor(kinds)
    assert torch.equal(choose(rows, kind, FUNCTIONS, amount), one_by_one(rows, kind, FUNCTIONS, amount))


def test_a_function_sees_the_rows_of_its_kind_alone_and_once():
    seen = []
    kind = torch.tensor([3, 1, 3, 0])
    choose(torch.arange(4.0)[:, None], kind, {3: lambda rows: seen.append(rows.flatten().tolist()) or rows})
    assert seen == [[0.0, 2.0]]


def test_what_it_is_given_stays_as_it_was():
    rows = torch.zeros(4, 2)
    changed = choose(rows, torch.tensor([0, 0, 1, 1]), {0: lambda rows: rows + 1})
    assert changed[:2].eq(1).all()
    assert rows.eq(0).all()


def test_one_kind_an_image_on_the_host_is_asked_for():
    with pytest.raises(ValueError, match=r"kind: expected 4 of them.*\(3,\)"):
        choose(torch.zeros(4, 2), torch.zeros(3, dtype=torch.long), {})
    with pytest.raises(ValueError, match=r"kind: expected it on the CPU.*meta"):
        choose(torch.zeros(4, 2), torch.zeros(4, dtype=torch.long, device="meta"), {})


def test_a_generator_on_the_host_is_used_as_it_is():
    generator = torch.Generator().manual_seed(3)
    assert host_generator(generator) is generator


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_generator_elsewhere_decides_the_same_from_the_same_state_and_moves_on():
    def draws(generator):
        return [torch.rand(4, generator=host_generator(generator)) for _ in range(2)]

    first, second = draws(torch.Generator("cuda").manual_seed(3))
    again, _ = draws(torch.Generator("cuda").manual_seed(3))
    other, _ = draws(torch.Generator("cuda").manual_seed(4))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    assert not torch.equal(first, other)
