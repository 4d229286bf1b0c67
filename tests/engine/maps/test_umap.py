"""UMAP: its forces against finite differences, the schedule of edges, and what a map of digits must keep."""

import itertools

import pytest
import torch
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier

from engine.maps.fuzzy import Graph
from engine.maps.umap import UmapParams, attraction, descend, fit, repulsion, transform

A, B = 1.577, 0.895
SHORT = UmapParams(epochs=60)


def last(layouts):
    *_, places = layouts
    return places


def distances(one, two):
    return (one - two).norm(dim=1)


@pytest.fixture(scope="module")
def some(digits):
    return digits[0][:400]


@pytest.fixture(scope="module")
def known(some):
    return last(fit(some, SHORT))


def finite_difference(value, places):
    step = 1e-6 * torch.eye(2, dtype=torch.float64)
    return torch.stack([(value(places + one) - value(places - one)) / 2e-6 for one in step], dim=-1)


def test_forces_are_the_slopes_of_the_cross_entropy():
    difference = 3 * torch.randn(50, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def near(places):
        return 1 / (1 + A * places.square().sum(dim=-1) ** B)

    pull = finite_difference(lambda places: near(places).log(), difference)
    push = finite_difference(lambda places: (1 - near(places)).log(), difference)
    torch.testing.assert_close(attraction(difference, A, B), pull, atol=1e-7, rtol=1e-5)
    torch.testing.assert_close(repulsion(difference, A, B, 0.0), push, atol=1e-7, rtol=1e-5)
    assert attraction(torch.zeros(1, 2), A, B).eq(0).all()
    assert repulsion(torch.zeros(1, 2), A, B).eq(0).all()


def test_two_points_move_as_algorithm_5_says():
    """One edge, both ways, of which each is the only point to be pushed from: in two epochs and by hand."""
    places = torch.tensor([[0.0, 0.0], [3.0, 1.0]])
    graph = Graph(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.tensor([0.5, 0.5]))
    course = list(descend(places, None, graph, UmapParams(epochs=2), torch.Generator().manual_seed(0)))
    assert len(course) == 3
    for before, after in itertools.pairwise(course):
        line = after - before
        torch.testing.assert_close(line[0, 0] * 1.0, line[0, 1] * 3.0)  # along the line between the two
        assert distances(after[:1], after[1:]) < distances(before[:1], before[1:])


def test_an_edge_is_due_as_often_as_its_weight_asks():
    """A head that has one edge, to a point that stays, moves in the epochs that this edge is due, and in no other."""
    weight = torch.tensor([1.0, 0.5, 0.25, 0.001])
    graph = Graph(torch.arange(4), torch.zeros(4, dtype=torch.int64), weight)
    fixed, places = torch.zeros(1, 2).double(), torch.full((4, 2), 10.0).double()
    course = torch.stack(list(descend(places, fixed, graph, UmapParams(epochs=100), torch.Generator().manual_seed(0))))
    assert (course.diff(dim=0)[..., 0] != 0).sum(dim=0).tolist() == [100, 50, 25, 0]


def test_a_map_of_digits_keeps_neighbours_and_classes(digits):
    features, labels = digits
    course = list(fit(features, UmapParams()))
    assert len(course) == 501
    assert trustworthiness(features.numpy(), course[-1].numpy(), n_neighbors=15) >= 0.98
    guess = KNeighborsClassifier(5).fit(course[-1].numpy(), labels.numpy()).predict(None)
    assert (guess == labels.numpy()).mean() >= 0.985


def test_the_same_seed_gives_the_same_map_and_another_one_another(some, known):
    assert torch.equal(known, last(fit(some, SHORT)))
    assert torch.equal(known, last(fit(some, SHORT, torch.Generator().manual_seed(SHORT.seed))))
    assert not torch.equal(known, last(fit(some, SHORT.model_copy(update={"seed": 1}))))


def test_layouts_that_were_given_do_not_change(some):
    course, copies = [], []
    for places in fit(some, UmapParams(epochs=5)):
        course.append(places)
        copies.append(places.clone())
    assert all(map(torch.equal, course, copies))


def test_an_earlier_map_of_the_same_data_is_kept_and_more_so_when_it_pulls(some, known):
    extent = known.std(dim=0).norm()
    anew, begun, pulled = (
        (distances(last(fit(some, UmapParams(epochs=60, seed=1, pull=pull), earlier=earlier)), known) / extent).mean()
        for pull, earlier in ((0.0, None), (0.0, known), (0.5, known))
    )
    assert pulled < 0.1
    assert 2 * pulled < begun < anew


def test_cosine_does_not_mind_lengths(some):
    longer = some * torch.linspace(1, 8, len(some)).floor().exp2()[:, None]  # by powers of two: exactly
    few = UmapParams(metric="cosine", epochs=3)
    assert torch.equal(last(fit(some, few)), last(fit(longer.contiguous(), few)))


def test_new_points_come_to_lie_where_their_like_are(digits, known, some):
    features, labels = digits
    new, truth = features[400:600], labels[400:600].numpy()
    places = last(transform(new, some, known, SHORT))
    guess = KNeighborsClassifier(5).fit(known.numpy(), labels[:400].numpy()).predict(places.numpy())
    by_features = KNeighborsClassifier(5).fit(some.numpy(), labels[:400].numpy()).predict(new.numpy())
    assert (guess == truth).mean() > (by_features == truth).mean() - 0.04
    there = last(transform(some, some, known, SHORT))
    assert distances(there, known).median() < 0.1 * known.std(dim=0).norm()


def test_few_points_and_points_in_one_place_have_a_map():
    for features in (torch.eye(3), torch.ones(20, 4), torch.arange(5.0)[:, None]):
        assert last(fit(features, UmapParams(epochs=20))).isfinite().all()


def test_what_cannot_be_mapped(some, known):
    with pytest.raises(ValueError, match="features: a map needs 3 points or more, got 2"):
        fit(torch.ones(2, 3), SHORT)
    with pytest.raises(ValueError, match=r"earlier: expected a finite layout \(400, 2\) of the same points"):
        fit(some, SHORT, earlier=known[:5])
    with pytest.raises(ValueError, match=r"places: expected \(400, 2\), the map of the features"):
        transform(some[:2], some, known[:5], SHORT)
