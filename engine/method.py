"""The contract of a method. Read this first.

A method is one file in `engine/methods/<wing>/` that ends in `METHOD = Method(...)`. It declares its knobs as a frozen
`Params`, builds a module that holds everything a checkpoint must hold, and trains it in a generator that yields one
report after each optimiser step. There is nothing to subclass but `Params`: the outside looks, files, draws, stops and
resumes at the `yield`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from engine.params import KnobError, Params, Preset, knob

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.bench import Bench
    from engine.data.base import Facts

__all__ = [
    "Bars", "Boxes", "Claim", "Curves", "Exhibit", "Film", "Graph", "Histogram", "KnobError", "Lens", "Masks", "Matrix",
    "Method", "Overlay", "Params", "Pictures", "Preset", "Report", "Scatter", "Sweep", "Table", "drive", "knob",
    "stage",
]  # fmt: skip

Report = dict[str, Any]
"""The news of one step: name -> number, tensor (detached) or sequence of strings."""


@dataclass(frozen=True)
class Exhibit:
    """A figure over reported `names`, with the sentence a visitor should read. The kinds are closed: see below.

    Raw values are stored, never drawn pictures. N images are shown side by side; the first name is the picture that the
    others are drawn on, where there is one. `classes` in a report are the names for label numbers.
    """

    names: tuple[str, ...]
    says: str


@dataclass(frozen=True)
class Curves(Exhibit):
    """Numbers over steps, one line a name; in a lens (N, 2) a name: positions along `over`, and numbers.

    mark: the name of a number: where along `over` one stands now, drawn as an upright line.
    """

    over: str = "step"
    mark: str = ""


@dataclass(frozen=True)
class Pictures(Exhibit):
    """(N, C, H, W) in [0, 1] a name: one row an image, one column a name.

    under: of one name alone, what stands below each picture: N strings, or numbers (N,) in [0, 1], drawn as bars.
    """

    under: tuple[str, ...] = ()


class Overlay(Exhibit):
    """(N, 3, H, W) and one or more (N, H, W) heat maps on a common scale."""


class Boxes(Exhibit):
    """(N, 3, H, W), then (N, M, 6) a name: x1, y1, x2, y2, class (-1: none), score; absent boxes are rows of NaN."""


class Masks(Exhibit):
    """(N, 3, H, W), then (N, H, W) integers a name; 0 is background, 255 void."""


class Matrix(Exhibit):
    """(R, C) a name, drawn as a heat map with its numbers. `rows` and `columns` in a report are their names."""


@dataclass(frozen=True)
class Scatter(Exhibit):
    """(N, 2) points, then optionally (N,) integer labels, then optionally (N, C, H, W) thumbnails.

    axes: what stands along and up, where the places are measures; empty where only what lies near what means something.
    """

    axes: tuple[str, ...] = ()


class Bars(Exhibit):
    """(K,) values a name; the last name may be K strings: the bars' labels."""


class Histogram(Exhibit):
    """(N,) values a name, over common bins."""


class Table(Exhibit):
    """Columns of equal length: numbers (N,) or N strings."""


class Graph(Exhibit):
    """(N, 2) positions, (E, 2) integer edges, N strings."""


class Film(Exhibit):
    """(T, C, H, W) in [0, 1] a name: frames."""


P = TypeVar("P", bound=Params)
M = TypeVar("M", bound="nn.Module")


@dataclass(frozen=True)
class Lens(Generic[P]):
    """A way to look through a trained model at what a visitor brings.

    look(model, params, images, bench) returns a report, or yields ever fuller reports while it works.
    images: (N, C, size, size) in [0, 1], fitted to the model's facts; one when takes is "image", None when it is
    "nothing". long: it takes seconds, so that it is asked for with a button instead of following the hand. goes_on: it
    can begin from any report of an earlier look, which `look` is given as a fifth argument, or None. wide: pixels a
    side at which it gets the pictures, where it does not take them as the model does. ends(model, images): how far
    whole-numbered knobs go with these, where that is less far than declared; a page's sliders end there.
    apart(one, other): what is not the same for two models side by side though their knobs are, in a sentence.
    replays: a whole-numbered knob whose values, once one was asked, are all answered from memory.
    """

    name: str
    params: type[P]
    look: Callable[..., Report | Iterator[Report]]
    exhibits: tuple[Exhibit, ...]
    says: str
    takes: Literal["images", "image", "nothing"] = "images"
    long: bool = False
    goes_on: bool = False
    wide: int | None = None
    ends: Callable[[Any, Tensor | None], Mapping[str, int]] = lambda model, images: {}
    apart: Callable[[Any, Any], str] = lambda one, other: ""
    replays: str = ""

    def given(self, images: Tensor, pick: int = 0) -> Tensor | None:
        """What it is to look at, of the pictures at hand: all of them, the one that was picked, or none.

        ValueError when there is no picture `pick`.
        """
        if self.takes == "image" and not 0 <= pick < len(images):
            raise ValueError(f"pick: there are {len(images)} pictures, counted from 0, got {pick}")
        return images if self.takes == "images" else images[pick : pick + 1] if self.takes == "image" else None

    def answers(
        self, model: nn.Module, params: P, images: Tensor | None, bench: Bench, earlier: Report | None = None
    ) -> Iterator[Report]:
        """The reports of `look`, however it gives them; the last is the whole answer."""
        model.eval()
        given = self.look(model, params, images, bench, *([earlier] if self.goes_on else []))
        yield from [given] if isinstance(given, dict) else given


@dataclass(frozen=True)
class Claim:
    """The paper's claim in a sentence and how it is measured here; `receipts` runs every arm over paired seeds.

    figure: the number in the last report that is compared. arms: name -> knobs that differ from the demo; the first is
    the method, the second the contrast. baseline: the number in the same report that the demo must beat. course:
    numbers that the receipt keeps at each evaluation of every arm, and with them a map of test pictures. also: other
    data -> knobs that differ from the demo, with which the figure is measured, too.
    """

    says: str
    figure: str
    arms: Mapping[str, Mapping[str, Any]]
    baseline: str
    higher: bool = True
    course: tuple[str, ...] = ()
    also: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Sweep:
    """A grid worth trying, because the paper or a lecture asks for just this one, and the question that it answers.

    grid: knob -> the values that are tried. values: knobs that differ from the demo in all cells.
    """

    name: str
    grid: Mapping[str, tuple[Any, ...]]
    asks: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method(Generic[P, M]):
    """One published idea.

    build(params, facts) returns the module; train(model, params, bench) yields one report per optimiser step, in all
    steps(params) of them. Every params class has a knob `data` (a source by name). The title, authors and idea stand in
    the file's docstring (see `engine.catalog`). embed(model, images) gives features (B, D) of images (B, C, H, W) in
    [0, 1]; where there is one, each evaluation stores a map of test images (see `engine.probe`). sweeps: those ready to
    start.
    """

    params: type[P]
    build: Callable[[P, Facts], M]
    train: Callable[[M, P, Bench], Iterator[Report]]
    exhibits: tuple[Exhibit, ...]
    lenses: tuple[Lens, ...]
    claim: Claim
    steps: Callable[[P], int] = lambda params: params.steps  # type: ignore[attr-defined]
    embed: Callable[[M, Tensor], Tensor] | None = None
    sweeps: tuple[Sweep, ...] = ()


def drive(method: Method[P, M], model: M, params: P, bench: Bench) -> Iterator[Report]:
    """Train `model`, under the bench's precision; `bench.position` tells where each report comes from.

    Stop by not asking for more. To go on later, save `bench.state()` and the model's weights at a report, and give both
    to the next bench (`Bench(..., resume=state)`) and model: on the CPU every later report is bit-equal.
    """
    bench.attach(model)
    reports = method.train(model, params, bench)
    while True:
        with bench.autocast():
            report = next(reports, None)
        if report is None:
            return
        yield report


def stage(name: str, reports: Iterable[Report]) -> Iterator[Report]:
    """The reports of one stage of a method, each name as "<stage>/<name>"."""
    for report in reports:
        yield {f"{name}/{key}": value for key, value in report.items()}
