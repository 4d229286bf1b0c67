"""Making an atlas in the background: a model is opened, asked about many pictures, and its features are kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine import catalog
from engine.shipped_map import DATA, PICTURES, SPLIT, TARGET
from lab import warm
from lab.atlas.atlas import Atlas, described, is_kept, keep_atlas, stored_atlas
from lab.checkpoints import open_model
from lab.checkpoints.open import PUBLISHED
from lab.home import home

INSTEAD = "cutouts"
"""What networks that know ImageNet are asked about unless somebody says: the photographs that ship are too few."""
KEPT = 12
_turn = threading.Lock()
_jobs: OrderedDict[tuple[Wanted, str], Job] = OrderedDict()


@dataclass(frozen=True)
class Wanted:
    """Which model (as `open_model` names it) is asked about which pictures. data: a source; "": what it learned from.

    pictures: at most; more are drawn from.
    """

    target: str
    data: str = ""
    split: str = SPLIT
    pictures: int = PICTURES

    @property
    def ships(self) -> bool:
        """Whether this is the atlas that ships."""
        return self == Wanted(TARGET, self.data, SPLIT, PICTURES) and self.data in ("", DATA)


class Job:
    """An atlas that is being made. done, total: pictures; atlas, or error: how it ended."""

    def __init__(self, wanted: Wanted):
        self.wanted = wanted
        self.done, self.total = 0, 0
        self.atlas: Atlas | None = None
        self.error = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="atlas", daemon=True)

    @property
    def ended(self) -> bool:
        return self.atlas is not None or bool(self.error)

    def start(self) -> Job:
        self._thread.start()
        return self

    def stop(self) -> None:
        """End it after the chunk that is at work."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            warm.wait()
            with _turn:  # one after the other: each takes the whole device
                self.atlas = self._made()
        except (ValueError, OSError) as error:
            self.error = str(error)
        except RuntimeError as error:  # of torch's: memory that is not there, shapes that do not fit
            self.error = f"{self.wanted.target} could not be asked: {' '.join(str(error).split())[:200]}"

    def _made(self) -> Atlas:
        from engine.bench import Bench, Setup
        from engine.data import open_data
        from engine.data.base import Facts
        from engine.extract import drawn, extract, key_of

        opened, bench = open_model(self.wanted.target), Bench(Setup())
        method: Any = catalog.method(opened.id) if opened.id in catalog.ids() else None
        published = self.wanted.target.startswith(PUBLISHED)
        data = self.wanted.data or (INSTEAD if published else opened.data)
        facts: Facts = opened.facts
        whole = open_data(data, self.wanted.split, facts.size, facts.channels)
        dataset, positions = drawn(whole, self.wanted.pictures)
        model = opened.model.to(bench.device)
        key = key_of(opened.id, {}, model, dataset, data, bench, facts)
        work = extract(home() / "features", key, method, model, dataset, bench, knows=facts)
        while True:
            if self._stop.is_set():
                work.close()
                raise ValueError("it was stopped")
            try:
                self.done, self.total = next(work)
            except StopIteration as end:
                found = end.value
                break
        if not np.isfinite(found.features).all():
            raise ValueError(f"{self.wanted.target} gives features that are not finite; look at its weights")
        note = {"pictures": len(found), "data": data, "split": self.wanted.split, "target": self.wanted.target}
        return keep_atlas(Atlas(key, found, positions.numpy(), data, described(note)))


def job(wanted: Wanted) -> Job:
    """The job that makes this atlas, begun now if there was none; one that failed is begun anew when it is asked again.

    The atlas that ships is there at once.
    """
    if wanted.ships:
        there = Job(wanted)
        there.atlas = stored_atlas()
        return there
    for key in [key for key, one in _jobs.items() if one.atlas is not None and not is_kept(one.atlas)]:
        del _jobs[key]  # its memory was wanted for others; its features are read again from where they are kept
    key = (wanted, warm.stamp(wanted.target) if not wanted.target.startswith(PUBLISHED) else "")
    found = _jobs.get(key)
    if found is None:
        found = _jobs[key] = Job(wanted).start()
        while len(_jobs) > KEPT:
            _jobs.popitem(last=False)[1].stop()
    if found.atlas is not None:
        keep_atlas(found.atlas)
    return found


def forget(found: Job) -> None:
    """Let the next who asks begin anew."""
    for key in [key for key, one in _jobs.items() if one is found]:
        del _jobs[key]


def course_atlas(id: str) -> Atlas | None:
    """A run's stored course as an atlas (see `lab.timeline`): the features of its last probe, a map for each moment.

    None when the run has no course.
    """
    from engine.features import Features
    from engine.record import probes, read_values
    from lab import timeline
    from lab.runs import find

    run = find(id)
    course = timeline.course_of(run.folder)
    if course is None:
        return None
    paths = dict(probes(run.folder))
    features = read_values(paths[course.steps[-1]])[0]["features"].astype(np.float32)
    count = len(features)
    pinned = read_values(run.folder / timeline.POINTS)[0]
    found = Features(features, course.labels[:count], pinned["thumbnails"][:count], course.classes)
    says = f"{count:,} pinned test pictures, seen by run {id} at {len(course.steps)} moments of its training"
    data = str(run.plan.values.get("data", ""))
    moments = [f"step {step:,}" for step in course.steps], course.drawn(course.places[:, :count])
    return keep_atlas(Atlas(f"{id}-{timeline.stamp(run.folder)}", found, np.arange(count), data, says, course=moments))
