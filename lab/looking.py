"""Looking through a trained model: its lenses asked one at a time, on shipped pictures, uploads or a folder's."""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.record import compact

if TYPE_CHECKING:
    from torch import Tensor

    from engine.data.base import Dataset
    from engine.method import Lens, Params, Report
    from lab.checkpoints import Opened

MOST = 16
"""Images that a lens is asked about at once."""


class Looker:
    """An opened model on the best device. Threads take turns (`lock`); what lenses open and recall is kept."""

    def __init__(self, opened: Opened):
        from engine.bench import Setup, find_device
        from engine.lenses.classifier import as_classifier
        from engine.lenses.segmenter import as_segmenter
        from engine.recall import Recall

        self.opened = opened
        self.lock = threading.Lock()
        self.setup = Setup()
        self.model = opened.model.to(find_device(self.setup.device))
        self.classifier = as_classifier(self.model, opened.facts, opened.data)
        self.segmenter = None if self.classifier else as_segmenter(self.model, opened.facts)
        self._sets: dict[tuple[str, str, int | None], Dataset] = {}
        self._recall = Recall()

    @property
    def lenses(self) -> tuple[Lens, ...]:
        """The method's own, then those that fit any classifier or any segmenter, if it is one."""
        from engine.lenses import CLASSIFIER, SEGMENTER

        own = self.opened.lenses
        names = {lens.name for lens in own}
        others = CLASSIFIER if self.classifier else SEGMENTER if self.segmenter else ()
        return own + tuple(lens for lens in others if lens.name not in names)

    def lens(self, name: str) -> Lens:
        """A lens by its name or the name of its stored answer; ValueError when there is no such lens for this model."""
        from engine.showcase import slug

        for lens in self.lenses:
            if name in (lens.name, slug(lens.name)):
                return lens
        there = ", ".join(slug(lens.name) for lens in self.lenses)
        raise ValueError(f"{self.opened.id} has no lens {name!r}; there are {there}")

    def shipped(self, count: int = 8, data: str = "", size: int | None = None) -> Tensor:
        """Test pictures of the data that the model was trained on, those of the stored answers, or of other `data`.

        size: pixels a side, where it is not the model's.
        """
        from engine.bench import Bench
        from engine.data.decode import channels
        from engine.showcase import pictures

        facts = self.opened.facts
        with self.lock:
            bench = Bench(self.setup, sets=self._sets)
            found = pictures(bench, data or self.opened.data, size or facts.size, count)
        fits = found.shape[1] == facts.channels
        return found if fits else channels((found * 255).byte(), facts.channels).float().div(255)

    def fitted(self, files: Sequence[tuple[str, bytes] | Path], size: int | None = None) -> Tensor:
        """Pictures (N, C, size, size) in [0, 1], fitted to the model; ImageError names a file that cannot be used.

        size: pixels a side, where it is not the model's.
        """
        import torch

        from engine.data.base import Facts
        from engine.data.decode import decode, fit

        facts = Facts(self.opened.facts.channels, size or self.opened.facts.size)
        read = [decode(file) if isinstance(file, Path) else decode(file[1], file[0]) for file in files[:MOST]]
        return torch.stack([fit(picture, facts) for picture in read]).float().div(255)

    def ends(self, lens: Lens, images: Tensor | None) -> Mapping[str, int]:
        """How far the knobs of a lens go with this model and these pictures."""
        return lens.ends(self._seen_by(lens), images)

    def _seen_by(self, lens: Lens) -> Any:
        return self.model if lens in self.opened.lenses else self.classifier or self.segmenter or self.model

    def answers(
        self, lens: Lens, params: Params, images: Tensor | None, seed: int = 0
    ) -> Generator[dict[str, Any], None, None]:
        """Reports as arrays, ever fuller; the same for the same seed. The model is taken until they are closed."""
        with closing(self.reports(lens, params, images, seed)) as reports:
            for report in reports:
                yield arrays(report)

    def reports(
        self, lens: Lens, params: Params, images: Tensor | None, seed: int = 0, earlier: Report | None = None
    ) -> Generator[Report, None, None]:
        """The same as the lens gives them. earlier: the report from which a lens begins that goes on."""
        import torch

        from engine.bench import Bench

        setup = self.setup.model_copy(update={"seed": seed})
        with self.lock, torch.random.fork_rng():
            bench = Bench(setup, sets=self._sets, recall=self._recall)
            given = None if images is None else images.to(bench.device)
            if earlier is not None:
                earlier = {name: one.to(bench.device) if torch.is_tensor(one) else one for name, one in earlier.items()}
            yield from lens.answers(self._seen_by(lens), params, given, bench, earlier)


def arrays(report: Mapping[str, Any]) -> dict[str, Any]:
    """A report as `engine.record.read_values` would give it back."""
    return {
        name: [str(word) for word in value] if isinstance(value, (list, tuple)) else compact(value)
        for name, value in report.items()
    }


def pictures_in(folder: str, count: int = MOST) -> list[Path]:
    """The first pictures in a folder and the folders below. ValueError when it is no folder or has none."""
    from engine.data.decode import SUFFIXES

    root = Path(folder).expanduser()
    if not root.is_dir():
        raise ValueError(f"{folder!r} is no folder on this machine; give the full path of one")
    found: list[Path] = []
    for path in root.rglob("*"):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            found.append(path)
            if len(found) >= 20 * count:
                break
    if not found:
        raise ValueError(f"{folder} holds no picture ({', '.join(SUFFIXES[:6])}, ...)")
    return sorted(found)[:count]
