"""One training from start to end in a folder: the command behind every run, with or without the lab."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import memory
from engine.best import Best, Figure
from engine.explain import broken_weights, explain, is_out_of_memory, naming_what_broke
from engine.folder import EXIT, Plan, State, free_reserve, granted, keep_reserve, read_state, wishes, write_state
from engine.launch import first_to_fail, rank_and_ranks
from engine.lock import RUN, Lock
from engine.provenance import Provenance
from engine.record import NotFinite, Record, checkpoints, rows

if TYPE_CHECKING:
    from engine.checkpoint import Checkpoint
    from engine.method import Report

SAVE_SECONDS = 30.0
"""Time between checkpoints of a running run."""


def run(folder: Path, watch: Callable[[int, Report], None] | None = None) -> State:
    """Carry out the plan in `folder`, from its newest sound checkpoint if it has one. Returns how it ended.

    Whatever happens is in state.json with its cause in one line; the traceback goes to stderr, which is the log.
    SIGTERM and Ctrl-C mean: save and cancel; a second one ends at once. ValueError when another process is at it.
    Across ranks, all but rank 0 train along and write nothing but why they failed: see `engine.launch`.
    """
    plan = Plan.read(folder)
    if rank_and_ranks()[0]:
        return _train_along(folder, plan)
    with Lock(folder / "live.lock", RUN):
        write_state(folder, "starting", pid=os.getpid(), cause=None, hint=None, instead=None)
        try:
            keep_reserve(folder)
            return _train(folder, plan, watch)
        except KeyboardInterrupt:
            write_state(folder, "cancelled", cause="stopped by the keyboard, without saving")
            return "cancelled"
        except Exception as error:
            use = _memory_use(folder, error)
            with suppress(OSError):  # the log may be on a full disk
                traceback.print_exc()
            told = explain(error, plan.values, use)._asdict()
            write_state(folder, "failed", **first_to_fail(folder, told, *rank_and_ranks()))
            if isinstance(error, NotFinite) and rank_and_ranks() == (0, 1):  # the others cannot do it again with us
                traceback.clear_frames(error.__traceback__)  # the model and its memory
                _tell_origin(folder, plan, error)
            return "failed"
        finally:
            with suppress(OSError):  # what ended the run is to be told, not that this failed too
                free_reserve(folder)


def _train(folder: Path, plan: Plan, watch: Callable[[int, Report], None] | None) -> State:
    from engine.bench import Bench, Setup
    from engine.catalog import method as find
    from engine.checkpoint import Checkpoint
    from engine.method import Curves, drive
    from engine.ops import across
    from engine.probe import Probe
    from engine.ranks import mean_numbers

    method = find(plan.method)
    params = method.params.make(plan.values)
    resume = newest_checkpoint(folder)
    across.agree(lambda: str(resume and resume.step))  # what is torn has been set aside: the others may look, too
    bench = Bench(Setup.make(plan.setup), resume)
    best = Best(folder, Figure.read(bench.setup.keep_best)) if bench.setup.keep_best else None
    if best:
        best.figure.check(name for shown in method.exhibits if isinstance(shown, Curves) for name in shown.names)
    facts = bench.facts(params)
    model = method.build(params, facts)
    before = rows(folder)
    seconds = next((row["time"] for row in reversed(before) if resume and row["step"] <= resume.step), 0.0)
    record = Record(folder, resume=resume.step if resume else 0, seconds=seconds)
    provenance = Provenance(folder, plan, bench, resume.step if resume else None)
    probe = Probe(folder, method, model, params, bench)
    device = bench.device.type
    fixed = memory.fixed_part(model, device) >> 20

    def save() -> Path:
        record.flush()  # a loss that is not finite says more than the weights that it broke
        if broken := broken_weights(model):
            raise NotFinite(f"{broken[0]} is not finite after step {bench.done}", bench.done)
        values = dict(plan.values)
        return record.save(Checkpoint(plan.method, values, facts, bench.done, model.state_dict(), bench.state()))

    def mark() -> None:
        record.mark(Checkpoint(plan.method, dict(plan.values), facts, bench.done, model.state_dict()))

    ended: State = "done"
    cause = None
    saved = told = time.monotonic()
    with caught_signals() as signals, naming_what_broke(model), record:
        # Whoever reads this may end the run by a signal: it is heard from here on.
        write_state(folder, "running", step=bench.done, steps=method.steps(params), device=device, fixed_mb=fixed)
        if not resume:
            mark()
        for report in drive(method, model, params, bench):
            report = mean_numbers(report)
            record.write(bench.done, report, media=bench.due)
            provenance.note()
            if bench.due:
                probe.look(bench.done)
                mark()
            if watch:
                watch(bench.done, report)
            now, asked = time.monotonic(), wishes(folder)
            look = "sample" in asked and granted(folder, "sample")
            if stop := "cancel" in asked or "pause" in asked or bool(signals):
                ended = "paused" if "pause" in asked and "cancel" not in asked else "cancelled"
            better = best is not None and bench.due and best.improves(report)
            keep = better or (
                not stop and (("save" in asked and granted(folder, "save")) or now - saved > SAVE_SECONDS)
            )
            across.tell(look, keep, EXIT[ended] if stop else 0)
            if look:
                bench.look()
            if keep:
                kept = save()
                saved = now
                if best and better:
                    best.keep(kept)
            if stop:
                cause = None if asked & {"cancel", "pause"} else f"stopped by {signals[0]}; its work is saved"
                write_state(folder, "pausing" if ended == "paused" else "cancelling", step=bench.done)
                break
            if now - told > 1:
                write_state(folder, "running", step=bench.done, peak_mb=memory.peak(device) >> 20)
                told = now
        save()
    write_state(folder, ended, step=bench.done, peak_mb=memory.peak(device) >> 20, cause=cause)
    granted(folder, "cancel")
    granted(folder, "pause")
    return ended


def _train_along(folder: Path, plan: Plan) -> State:
    """What `_train` does on all ranks but the first: the same steps, and what rank 0 tells after each."""
    from engine.bench import Bench, Setup
    from engine.catalog import method as find
    from engine.method import drive
    from engine.ops import across
    from engine.ranks import mean_numbers

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # rank 0 hears them
    try:
        method = find(plan.method)
        params = method.params.make(plan.values)
        from_step = across.agree(str)
        resume = newest_checkpoint(folder) if from_step != "None" else None
        bench = Bench(Setup.make(plan.setup), resume)
        model = method.build(params, bench.facts(params))
        for report in drive(method, model, params, bench):
            mean_numbers(report)
            look, keep, ended = across.tell(0, 0, 0)
            if look:
                bench.look()
            if keep:
                bench.state()
            if ended:
                bench.state()
                return "paused" if ended == EXIT["paused"] else "cancelled"
        bench.state()
        return "done"
    except Exception as error:
        first_to_fail(folder, explain(error, plan.values, _memory_use(folder, error))._asdict(), *rank_and_ranks())
        traceback.print_exc()
        return "failed"


@contextmanager
def caught_signals() -> Iterator[list[str]]:
    """The names of SIGTERM and SIGINT, as they come, in place of what they do; the second of a kind does it again."""
    came: list[str] = []
    before: dict[int, Any] = {}

    def note(number: int, _frame: object) -> None:
        came.append(signal.Signals(number).name)
        signal.signal(number, before[number])

    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield came
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that opens, with its state.

    A torn one is named on stderr and set aside under another name, so that it is not taken for the newest again when
    the run saves.
    """
    from engine.checkpoint import CheckpointError, read_checkpoint

    there = checkpoints(folder)
    for step, path in reversed(there):
        try:
            found = read_checkpoint(path, with_state=True)
        except CheckpointError as error:
            aside = path.with_suffix(".torn")
            os.replace(path, aside)
            print(f"{error}. It is passed over and kept as {aside.name}.", file=sys.stderr)
        else:
            if path != there[-1][1]:
                print(f"The run goes on from {path.name}, after step {step}.", file=sys.stderr)
            return found
    if there:
        print("No checkpoint can be opened: the run starts again from step 0.", file=sys.stderr)
    return None


def _tell_origin(folder: Path, plan: Plan, error: NotFinite) -> None:
    """Do the last steps of a run that has broken again, and put into its hint where that began."""
    from engine.bench import Setup
    from engine.catalog import method as find
    from engine.replay import origin

    resume = newest_checkpoint(folder)
    print(f"doing steps {resume.step + 1 if resume else 1} to {error.step} again, to see where it broke", flush=True)
    method = find(plan.method)
    try:
        where = origin(method, method.params.make(plan.values), Setup.make(plan.setup), resume, error.step)
    except Exception:  # the run has ended with its cause told; this one is for the log
        traceback.print_exc()
        return
    print(where or "this time all was finite, or the time did not suffice", flush=True)
    if where:
        error.__notes__ = [where]
        write_state(folder, "failed", **explain(error, plan.values)._asdict())


def _memory_use(folder: Path, error: Exception) -> memory.Use | None:
    """What the run needed when its memory did not suffice; None when it did, or it had not come to training."""
    told = read_state(folder)
    if "fixed_mb" not in told or not is_out_of_memory(error):
        return None
    return memory.used_up(error, told["device"], told["fixed_mb"] << 20, rank_and_ranks()[1])
