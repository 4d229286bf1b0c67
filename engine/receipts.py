"""Receipts: each method's claim, measured here over paired seeds, with date and machine."""

from __future__ import annotations

import ast
import hashlib
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from engine import arms
from engine.assets import ROOT, record
from engine.catalog import card, ids
from engine.closure import Reach, file_of, module
from engine.data import LOADERS
from engine.files import replace_file


@dataclass(frozen=True)
class Outcome:
    """One demo run: the claim's figure and baseline at its end; wall and CPU seconds of one thread.

    course: "step", "seconds" (of CPU) and the claim's course, a number an evaluation.
    """

    figure: float
    baseline: float
    wall: float
    cpu: float
    course: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Receipt:
    """What `measure` found. arms: name -> outcomes in the order of the seeds; the first arm is the method. also: the
    same of what the claim measures beside its arms.

    code: the `fingerprint` of the code that was measured.
    """

    method: str
    says: str
    figure: str
    baseline: str
    higher: bool
    date: str
    machine: str
    code: str
    arms: Mapping[str, list[Outcome]] = field(default_factory=dict)
    also: Mapping[str, list[Outcome]] = field(default_factory=dict)

    @property
    def gains(self) -> list[float]:
        """Per seed, by how much the method is better than the contrast (the second arm), in the figure's unit."""
        method, contrast = list(self.arms.values())[:2]
        sign = 1 if self.higher else -1
        return [sign * (one.figure - two.figure) for one, two in zip(method, contrast, strict=True)]

    @property
    def verdict(self) -> str:
        """Whether the claim's direction shows here, in words."""
        gains = self.gains
        held, mean = sum(gain > 0 for gain in gains), statistics.fmean(gains)
        if held == len(gains):
            return f"shown in all {held} seeds"
        return f"shown on average, in {held} of {len(gains)} seeds" if mean > 0 else "not shown at this size"

    @property
    def beats_baseline(self) -> bool:
        """Whether the demo is better than its stated baseline in every seed."""
        outcomes = next(iter(self.arms.values()))
        return all((one.figure > one.baseline) == self.higher and one.figure != one.baseline for one in outcomes)

    @property
    def seconds(self) -> float:
        """Mean CPU seconds of the demo."""
        return statistics.fmean(outcome.cpu for outcome in next(iter(self.arms.values())))


def path(id: str, root: Path = ROOT) -> Path:
    """Where the receipt of a method lies."""
    return root / "methods" / id / "receipt.json"


def read(id: str, root: Path = ROOT) -> Receipt | None:
    """The stored receipt of a method; None before it was ever measured."""
    try:
        found = json.loads(path(id, root).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    for part in ("arms", "also"):
        runs = found.get(part, {})
        found[part] = {name: [Outcome(**outcome) for outcome in outcomes] for name, outcomes in runs.items()}
    return Receipt(**found)


def outcome(id: str, values: Mapping[str, Any], seed: int, followed: bool = True) -> tuple[Outcome, dict[str, Any]]:
    """Run the demo once on one CPU thread. Beside the outcome: of seed 0, where it is `followed` and the claim keeps a
    course, what `arms.Trace` told, else nothing."""
    import torch

    from engine.bench import Bench, Setup
    from engine.catalog import method as find
    from engine.method import drive

    torch.set_num_threads(1)
    started, cpu = time.monotonic(), time.process_time()
    method = find(id)
    params = method.params.make(values)
    bench = Bench(Setup.make({"seed": seed, "device": "cpu"}))
    model = method.build(params, bench.facts(params))
    trace = arms.Trace(method, model, params, bench) if followed and method.claim.course and seed == 0 else None
    last: dict[str, Any] = {}
    course: dict[str, list[float]] = {}
    for last in drive(method, model, params, bench):
        if bench.due and method.claim.course:
            if trace:
                trace.look()
            now = {"step": bench.done, "seconds": time.process_time() - cpu} | last
            for name in ("step", "seconds", *method.claim.course):
                if name in now:
                    course.setdefault(name, []).append(float(f"{float(now[name]):.4g}"))
    figure, baseline = (float(last[name]) for name in (method.claim.figure, method.claim.baseline))
    wall, cpu = time.monotonic() - started, time.process_time() - cpu
    return Outcome(figure, baseline, round(wall, 1), round(cpu, 1), course), trace.told() if trace else {}


def measure(id: str, seeds: int = 3, told: Callable[[str], None] = print, workers: int | None = None) -> Receipt:
    """Run every arm of the claim over seeds 0 .. seeds-1, and what is measured beside them; store the receipt.

    `told` hears of each finished run.
    """
    from engine.catalog import method as find

    claim = find(id).claim
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers or os.cpu_count(), mp_context=context) as pool:
        jobs = {
            pool.submit(outcome, id, values, seed, arm in claim.arms): (arm, seed)
            for seed in range(seeds)
            for arm, values in (*claim.arms.items(), *claim.also.items())
        }
        found: dict[tuple[str, int], Outcome] = {}
        traces: dict[str, dict[str, Any]] = {}
        for job in as_completed(jobs):
            arm, seed = jobs[job]
            one, trace = job.result()
            found[arm, seed] = one
            if trace:
                traces[arm] = trace
            told(f"{id} · {arm} · seed {seed}: {claim.figure} {one.figure:.4g}, "
                 f"{claim.baseline} {one.baseline:.4g}, {one.cpu:.0f} CPU-s")  # fmt: skip
    if traces:
        arms.write(id, {arm: traces[arm] for arm in claim.arms}, classes_of(id))
    outcomes, also = (
        {arm: [found[arm, seed] for seed in range(seeds)] for arm in part} for part in (claim.arms, claim.also)
    )
    receipt = Receipt(
        id,
        claim.says,
        claim.figure,
        claim.baseline,
        claim.higher,
        time.strftime("%Y-%m-%d"),
        machine(),
        fingerprint(id),
        outcomes,
        also,
    )
    path(id).parent.mkdir(parents=True, exist_ok=True)
    replace_file(path(id), (json.dumps(asdict(receipt), indent=1, ensure_ascii=False) + "\n").encode())
    record()
    return receipt


def classes_of(id: str) -> tuple[str, ...]:
    """The names of the classes of a method's demo data."""
    from engine.bench import Bench
    from engine.catalog import method as find

    return Bench().facts(find(id).params()).classes


def fingerprint(id: str) -> str:
    """A hash of the code that decides what the demo learns: what `METHOD` builds, trains and claims, and all that this
    reaches by name in the engine's parts (see `engine.closure`); data and methods that knobs and claims name, too.

    Comments, docstrings, lenses, exhibits, sweeps, the claim in words and what knobs say and allow do not count, nor in
    which file a definition stands: writing a measured figure down, or a better sentence, does not change it.
    """
    path, reach = card(id).path, Reach(_unsaid, _named)
    for statement in module(path).bound["METHOD"]:
        reach.node(path, statement)
    return hashlib.sha256("".join(sorted(reach.text)).encode()).hexdigest()[:16]


def _unsaid(call: ast.Call) -> None:
    """Leave of METHOD's parts those that decide what is learned, of a knob those that decide the demo's value."""
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name == "Method":
        call.keywords = [each for each in call.keywords if each.arg in ("params", "build", "train", "claim")]
    elif name == "Claim":
        call.args = []
    elif name == "knob":
        call.args, call.keywords = call.args[:1], []


def _named(call: ast.Call) -> Iterator[tuple[Path, str]]:
    """Where that stands which the strings in a knob or a claim name: data sources, and methods whose demo is used."""
    if isinstance(call.func, ast.Name) and call.func.id in ("knob", "Claim"):
        for node in ast.walk(call):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if source := LOADERS.get(node.value.partition(":")[0]):
                    file, function = source.split(".")
                    if (path := file_of(f"engine.data.{file}")) is not None:
                        yield path, function
                elif node.value in ids():
                    yield card(node.value).path, "METHOD"


def machine() -> str:
    """This machine in words: processor, cores, torch."""
    import torch

    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:  # not a Linux machine: the short name must do
        return f"{name}, {os.cpu_count()} cores, torch {torch.__version__}"
    return f"{name}, {os.cpu_count()} cores, torch {torch.__version__}"


def table() -> list[dict[str, Any]]:
    """A row a method, in teaching order; figures are mean ± standard deviation over the seeds."""
    rows: list[dict[str, Any]] = []
    for id in ids():
        receipt = read(id)
        if receipt is None:
            rows.append({"method": id, "verdict": "not measured; run `visionarium receipts --measure`"})
            continue
        figures = {arm: _spread([one.figure for one in outcomes]) for arm, outcomes in receipt.arms.items()}
        rows.append({
            "method": id, "figure": receipt.figure, "arms": figures,
            "baseline": f"{receipt.baseline} {_spread([one.baseline for one in next(iter(receipt.arms.values()))])}",
            "beats baseline": receipt.beats_baseline, "claim": receipt.verdict, "seconds": round(receipt.seconds),
            "date": receipt.date, "machine": receipt.machine,
        })  # fmt: skip
    return rows


def _spread(values: list[float]) -> str:
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread}"


def markdown() -> str:
    """The table of the README."""
    lines = ["| method | measured | with | against | baseline | claim | CPU-s |", "|---|---|---|---|---|---|---:|"]
    machines = set()
    for row in table():
        title = f"[{card(row['method']).title}](engine/methods/{row['method'].replace('.', '/')}.py)"
        if "arms" not in row:
            lines.append(f"| {title} | | | | | {row['verdict']} | |")
            continue
        method, contrast = [f"{name} **{value}**" for name, value in row["arms"].items()][:2]
        lines.append(f"| {title} | {row['figure']} | {method} | {contrast} | {row['baseline']} | {row['claim']} "
                     f"| {row['seconds']} |")  # fmt: skip
        machines.add(f"{row['date']}, {row['machine']}")
    return "\n".join([*lines, "", f"Measured {'; '.join(sorted(machines))}."]) + "\n"


def write_readme(readme: Path = ROOT.parent / "README.md") -> None:
    """Put the table of receipts between its marks in the README."""
    start, end = "<!-- receipts -->\n", "<!-- /receipts -->"
    before, _, rest = readme.read_text("utf-8").partition(start)
    replace_file(readme, (before + start + "\n" + markdown() + "\n" + end + rest.partition(end)[2]).encode())


if __name__ == "__main__":
    write_readme()
