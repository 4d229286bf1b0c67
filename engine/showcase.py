"""What ships with a method so that its page is alive at once: a demo's checkpoint, its course, its lenses' answers.

assets/methods/<id>/
    checkpoint.safetensors    the demo's weights, in half precision
    training/                 a run's folder in miniature: rows, a few stored pictures, and exhibits.json
    <lens>.safetensors        each lens's answer on the shipped test pictures; its note says how to show it
    receipt.json              see engine.receipts
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.assets import ROOT, record
from engine.catalog import ids
from engine.folder import plan_run, read_state
from engine.method import Exhibit
from engine.record import media, rows, write_values

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.bench import Bench
    from engine.method import Lens

LIMIT, LIMIT_VARIANT = 2_000_000, 3_000_000
"""Bytes that a method may ship, and a variant."""
ROWS, KEPT = 300, 6
"""Rows and stored pictures that remain of the demo's course."""
PICTURES = 8
LENSES, SHOWN = ROOT / "lenses", "imagenet:lite0"
"""Answers of lenses that fit any classifier, and through which network, on shipped photographs."""


@dataclass(frozen=True)
class Variant:
    """Another trained model of a method that ships: `values` are the knobs that differ from its demo.

    data: the set that it knows by its short name, so that to look needs no set as large as to learn.
    """

    method: str
    title: str
    values: Mapping[str, Any]
    data: str


VARIANTS = {
    "uncertainty.mc_dropout.scenes": Variant(
        "uncertainty.mc_dropout", "Monte-Carlo dropout · scenes, pixel by pixel",
        {"task": "segment", "data": "scenes:scene32b:16000", "labelled": 16_000, "steps": 2500, "batch": 16,
         "lr": 0.006, "dropout": 0.3, "width": 12},
        "scenes:scene32b",
    ),
    "representation.mae.objects": Variant(
        "representation.mae", "Masked autoencoder · objects in colour",
        {"data": "objects", "size": 32, "width": 96, "depth": 4, "heads": 3, "decoder_width": 96, "decoder_depth": 2,
         "decoder_heads": 3, "batch": 64, "steps": 5000, "lr": 0.002, "warmup": 200},
        "objects",
    ),
}  # fmt: skip
"""By the name under which each is opened."""


def ships(name: str) -> bool:
    """Whether this is the name of a method, or of a variant, that may ship with a trained model."""
    return name in VARIANTS or name in ids()


def folder(id: str, root: Path = ROOT) -> Path:
    """Where a method's shipped files lie."""
    return root / "methods" / id


def slug(lens: str) -> str:
    """The file name, without ending, of a lens's stored answer."""
    return lens.lower().replace(" ", "-").replace("?", "")


def plain(exhibits: Iterable[Exhibit]) -> list[list[Any]]:
    """Exhibits as JSON, so that what ships can be shown before the method is imported."""
    return [[type(exhibit).__name__, list(exhibit.names), *list(vars(exhibit).values())[1:]] for exhibit in exhibits]


def revive(rows: Iterable[list[Any]]) -> tuple[Exhibit, ...]:
    """The inverse of `plain`."""
    kinds: dict[str, Any] = {kind.__name__: kind for kind in Exhibit.__subclasses__()}
    return tuple(
        kinds[kind](*(tuple(value) if isinstance(value, list) else value for value in values)) for kind, *values in rows
    )


def pictures(bench: Bench, spec: str, size: int | None, count: int = PICTURES) -> Tensor:
    """(count, C, size, size) in [0, 1]: test pictures spread evenly over the set, the same every time."""
    import torch

    data = bench.data(spec, "test", size)
    count = min(count, len(data))
    return data.batch((torch.arange(count) * len(data)) // count).to(bench.device).images


def build(id: str, root: Path = ROOT) -> Path:
    """Train the demo of a method, or a variant (seed 0, CPU), and store what ships.

    RuntimeError when it fails or the result is too large.
    """
    from engine.bench import Setup
    from engine.catalog import method as find
    from engine.run import newest_checkpoint, run

    variant, target = VARIANTS.get(id), folder(id, root)
    of = variant.method if variant else id
    method = find(of)
    params = method.params.make(variant.values if variant else {})
    with tempfile.TemporaryDirectory() as name:
        work = Path(name) / "run"
        plan_run(work, of, params, Setup.make({"device": "cpu"}), "demo")
        if run(work) != "done":
            raise RuntimeError(f"{id}: the demo did not end well: {read_state(work).get('cause')}")
        checkpoint = newest_checkpoint(work)
        if checkpoint is None:
            raise RuntimeError(f"{id}: the demo left no checkpoint")
        target.mkdir(parents=True, exist_ok=True)
        if variant:
            checkpoint = replace(checkpoint, params=dict(checkpoint.params) | {"data": variant.data})
            _keep_weights(target / "checkpoint.safetensors", checkpoint)
            build_answers(id, root)
        else:
            _keep_weights(target / "checkpoint.safetensors", checkpoint)
            _keep_rows(work, target / "training")
            (target / "training" / "exhibits.json").write_text(json.dumps(plain(method.exhibits)), encoding="utf-8")
            build_answers(id, root)
            _keep_pictures(work, target / "training", LIMIT - size_of(target))
    most = LIMIT_VARIANT if variant else LIMIT
    if (size := size_of(target)) > most:
        raise RuntimeError(f"{id}: {size:,} bytes to ship, {most:,} are allowed; make its demo or reports smaller")
    record(root=root)
    return target


def build_answers(id: str, root: Path = ROOT) -> Path:
    """Ask the shipped model through all lenses of its method, and store what they answer in place of what there was."""
    from engine.bench import Bench, Setup
    from engine.checkpoint import read_checkpoint
    from engine.trained import rebuild

    target = folder(id, root)
    path = target / "checkpoint.safetensors"
    checkpoint = read_checkpoint(path)
    method, model = rebuild(checkpoint, path)
    params = method.params.make(checkpoint.params)
    bench = Bench(Setup.make({"device": "cpu"}))
    for old in target.glob("*.safetensors"):
        if old.stem not in ("checkpoint", "arms"):  # measured, not asked
            old.unlink()
    for place, lens in enumerate(method.lenses):
        images = pictures(bench, params.data, lens.wide or getattr(params, "size", None))
        keep_answer(target, lens, place, model, images, checkpoint.step)
    record(root=root)
    return target


def size_of(target: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def build_lenses(root: Path = ROOT) -> Path:
    """Store what the studios show at once: their first lenses for any classifier, through a shipped network."""
    from engine.bench import Bench, Setup
    from engine.lenses.augmented import DRAWS
    from engine.lenses.views import LOOK_FAN
    from engine.nets.pretrained import LOOKS, imagenet

    images = pictures(Bench(Setup.make({"device": "cpu"})), "photos:things", LOOKS)
    shown: tuple[Lens, ...] = (DRAWS, LOOK_FAN)
    for place, lens in enumerate(shown):
        keep_answer(root / "lenses", lens, place, imagenet("lite0"), images, 0)
    record(root=root)
    return root / "lenses"


def keep_answer(target: Path, lens: Lens, place: int, model: nn.Module, images: Tensor, step: int) -> None:
    """Store the answer of one lens, with its usual knobs, on shipped pictures. place: among the lenses beside it."""
    import torch

    from engine.bench import Bench, Setup

    bench = Bench(Setup.make({"device": "cpu"}))
    knobs = lens.params.make({})
    answer: dict[str, Any] = {}
    with torch.random.fork_rng():
        for answer in lens.answers(model, knobs, lens.given(images), bench):  # noqa: B007 - the last is the whole
            pass
    note = {
        "lens": lens.name, "place": place, "says": lens.says, "exhibits": plain(lens.exhibits),
        "params": knobs.model_dump(mode="json"), "step": step,
    }  # fmt: skip
    target.mkdir(exist_ok=True)
    write_values(target / f"{slug(lens.name)}.safetensors", answer, note)


def _keep_weights(path: Path, checkpoint: Any) -> None:
    from engine.checkpoint import write_checkpoint

    half = {name: value.half() if value.is_floating_point() else value for name, value in checkpoint.weights.items()}
    write_checkpoint(path, replace(checkpoint, weights=half, state=None))


def _keep_rows(run_folder: Path, target: Path) -> None:
    """Thin a run to ROWS rows, those with stored pictures among them."""
    shutil.rmtree(target, ignore_errors=True)
    (target / "media").mkdir(parents=True)
    course, names = rows(run_folder), {step for step, _ in media(run_folder)}
    kept = [
        row
        for i, row in enumerate(course)
        if row["step"] in names or i * ROWS // len(course) != (i - 1) * ROWS // len(course)
    ]
    (target / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    for name in ("run.json", "state.json"):
        shutil.copy(run_folder / name, target / name)


def _keep_pictures(run_folder: Path, target: Path, room: int) -> None:
    """As many of a run's stored pictures as fit into `room` bytes, KEPT at most: first, last, and evenly between."""
    stored = [path for _, path in media(run_folder)]
    for count in range(min(KEPT, len(stored)), 0, -1):
        chosen = [stored[round((i + 1) * len(stored) / count) - 1] for i in range(count)]
        chosen[0] = stored[0] if count > 1 else stored[-1]
        if sum(path.stat().st_size for path in chosen) <= room:
            for path in chosen:
                shutil.copy(path, target / "media" / path.name)
            return


def missing() -> list[str]:
    """The methods for which nothing ships yet."""
    return [id for id in ids() if not (folder(id) / "checkpoint.safetensors").exists()]
