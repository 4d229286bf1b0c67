"""python -m engine.preflight [SECONDS] < PLAN   before a run: will it start, what does it need, when does it end?

PLAN is JSON: {"method": ..., "values": {...}, "setup": {...}}, as in run.json. The last line of stdout is a `Preflight`
as JSON. The data are checked, the method is built, and of each of its loops the first steps, one evaluation and the
last step are done, with forward, backward and optimiser. An error that may come of the steps that are left out is told,
but no problem. Nothing is written. After SECONDS it stops by itself, in the
midst of a step too, and tells what it knows.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.launch import threads_each
from engine.threads import wait_asleep

if TYPE_CHECKING:
    from engine.data.faults import Fault
    from engine.pace import Sampling
    from engine.probe import Probe

LIMIT, LEAST = 15.0, 5.0
"""Seconds for everything; seconds that are left for the looking, however long torch took to load."""
DATA_SHARE = 0.25
"""Part of the limit that the check of the data may take."""

TIGHT = 0.9
"""Part of the room above which a step's memory is worth a remark."""

STEP = "one step"
UNSEEN = "time was up before every part of the training was seen"


@dataclass
class Preflight:
    """What was found. problems: why the run would fail, each with what to do. remarks: what is worth knowing.

    steps: of the whole run; measured: those that were done here. start_seconds: until the first step begins;
    step_seconds: the median; look_seconds: what an evaluation adds; seconds: the whole run. peak_mb: how much memory
    the training took, of room_mb that it could have. instead: knobs with which it may run. ranks: processes that are
    to share each batch; then all was measured of the first of them alone, with its part.
    """

    method: str = ""
    device: str = ""
    ranks: int = 1
    steps: int = 0
    measured: int = 0
    peak_mb: int | None = None
    room_mb: int | None = None
    start_seconds: float | None = None
    first_seconds: float | None = None
    step_seconds: float | None = None
    look_seconds: float | None = None
    seconds: float | None = None
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    instead: dict[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not self.problems

    @classmethod
    def read(cls, text: str) -> Preflight:
        """What the process printed; ValueError when it ended without an answer."""
        try:
            return cls(**json.loads(text.splitlines()[-1]))
        except (IndexError, TypeError, json.JSONDecodeError):
            raise ValueError("the check ended without an answer; start the run, and see its log") from None


class Check:
    """One pre-flight as it goes: `prepare`, then `measure`; both tell what goes wrong in `found`."""

    def __init__(self, plan: Mapping[str, Any], limit: float = LIMIT, since: float | None = None):
        """since: `time.monotonic()` when the process began. KnobError when the plan cannot be."""
        from engine.bench import Setup
        from engine.catalog import method

        self.method, self.values = method(plan["method"]), plan["values"]
        self.params, self.setup = self.method.params.make(plan["values"]), Setup.make(plan["setup"])
        ranks = self.setup.ranks
        self.found = Preflight(method=plan["method"], steps=self.method.steps(self.params), ranks=ranks)
        self.limit, self._ready = limit, time.monotonic()
        self._process = self._ready if since is None else since
        self._doing, self._doing_since = "checking the data", self._ready
        self._fixed = 0
        self._bench: Sampling | None = None
        self._probe: Probe | None = None

    @property
    def left(self) -> float:
        """Seconds until time is up: from the process's beginning, but LEAST of them once torch is loaded."""
        return max(self._process + self.limit, self._ready + min(LEAST, self.limit)) - time.monotonic()

    def prepare(self) -> bool:
        """Check the data's files. Whether it is worth going on."""
        spec = str(self.params.data)
        try:
            faults = faults_within(spec, DATA_SHARE * self.limit)
        except (ValueError, OSError) as error:
            self._tell(error)
            return False
        if faults is None:
            self.found.remarks.append(f"not every file was read for want of time; visionarium data check {spec} does")
        for fault in faults or ():
            (self.found.problems if fault.stops else self.found.remarks).append(str(fault))
        return self.found.ok

    def measure(self) -> None:
        """Build the method and do its steps, until time is up."""
        try:
            self._measure()
        except Exception as error:
            traceback.print_exc()
            self._tell(error)

    def _measure(self) -> None:
        from engine import memory
        from engine.explain import naming_what_broke
        from engine.method import drive
        from engine.pace import Sampling
        from engine.probe import Probe
        from engine.record import bad_loss

        self._now("opening the data")
        self._bench = bench = Sampling(self.setup, self.limit / 10)
        device = self.found.device = bench.device.type
        before, self.found.room_mb = memory.used(device), memory.room(device, self.setup.ranks) >> 20
        memory.stay_inside(device, self.setup.ranks)
        facts = bench.facts(self.params)
        self._now("building the model")
        model = self.method.build(self.params, facts)
        self._fixed = memory.fixed_part(model, device)
        self._now(STEP)
        self.found.start_seconds = self._doing_since - self._process
        self._probe = probe = Probe(None, self.method, model, self.params, bench)
        bench.begin()
        with naming_what_broke(model):
            for report in drive(self.method, model, self.params, bench):
                bench.note()
                self.found.peak_mb = max(0, memory.peak(device) - before) >> 20
                if bad := bad_loss(bench.done, report):
                    raise bad
                if bench.due:
                    probe.look(bench.done)
                    bench.begin()
                if self.left < 0:
                    self.found.remarks.append(UNSEEN)
                    return
                self._now(STEP)
        bench.end()

    def too_late(self) -> None:
        """Tell that time is up in the midst of something; called by another thread."""
        took = time.monotonic() - self._doing_since
        usual = self._doing == STEP and self._bench is not None and self._bench.measured and took < 1
        self.found.remarks.append(UNSEEN if usual else f"{self._doing} takes more than {took:.1f} s")

    def result(self) -> Preflight:
        """What was found."""
        from engine.pace import estimate

        found, bench = self.found, self._bench
        if bench is not None and found.start_seconds is not None:
            underway = time.monotonic() - self._doing_since if self._doing == STEP else 0.0
            seen = estimate(bench.loops, found.steps, tail=bench.tail, underway=underway)
            found.measured = bench.measured
            found.first_seconds, found.step_seconds, found.look_seconds = seen.first, seen.step, seen.look
            if seen.whole is not None and found.ok:
                looks = sum(loop.looks for loop in bench.loops)
                probed = self._probe.forecast(seen.whole, looks) if self._probe else 0.0
                found.seconds = found.start_seconds + seen.whole + probed
        if found.ranks > 1 and found.measured:
            found.remarks.append(f"seen of one of {found.ranks} processes alone: that they tell one another their "
                                 "gradients after each step takes longer still")  # fmt: skip
        if found.peak_mb and found.room_mb and found.peak_mb > TIGHT * found.room_mb:
            found.remarks.append(f"memory is tight: training takes {found.peak_mb:,} MB of {found.room_mb:,} MB")
        return found

    def _now(self, doing: str) -> None:
        self._doing, self._doing_since = doing, time.monotonic()

    def _tell(self, error: Exception) -> None:
        from engine import memory
        from engine.explain import explain, is_of_shapes, is_out_of_memory

        trained = self._bench is None or not self._bench.skipped
        if not (trained or is_out_of_memory(error) or is_of_shapes(error)):
            what = (str(error).splitlines() or [type(error).__name__])[0]
            self.found.remarks.append(
                f"its later part, which may be slower, was not seen for want of the steps left out here: {what}"
            )
            return
        use = None
        if is_out_of_memory(error) and self._fixed:
            use = memory.used_up(error, self.found.device, self._fixed, self.setup.ranks)
        told = explain(error, self.values, use)
        self.found.problems.append(". ".join(filter(None, (told.cause.rstrip("."), told.hint))))
        self.found.instead = dict(told.instead)


def faults_within(spec: str, seconds: float) -> list[Fault] | None:
    """What `engine.data.check.check` finds; None when it takes longer, which ends it.

    It works in a child, which can be ended; so ask before torch has started any threads.
    """
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe(duplex=False)
    child = fork.Process(target=_send_faults, args=(spec, there), daemon=True)
    child.start()
    there.close()
    try:
        answer = here.recv() if here.poll(seconds) else None
    except EOFError:  # it died: what opens the data next will say why
        answer = None
    child.kill()
    child.join()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _send_faults(spec: str, to: Any) -> None:
    from engine.data.check import check

    try:
        to.send(check(spec))
    except (ValueError, OSError) as error:
        to.send(error)


def main(arguments: Sequence[str]) -> None:
    """Print the answer and end the process, whatever is still at work in it."""
    since = time.monotonic()
    wait_asleep()
    answer = os.dup(1)
    os.dup2(2, 1)  # what a method prints is no answer
    with suppress(OSError):  # should memory run out after all, let the kernel end this process and no run
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    plan = json.load(sys.stdin)
    if (ranks := plan["setup"].get("ranks", 1)) > 1:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads_each(ranks)))
    check = Check(plan, float(arguments[0]) if arguments else LIMIT, since)
    once = threading.Lock()

    def end(late: bool) -> None:
        with once:
            if late:
                check.too_late()
            os.write(answer, json.dumps(asdict(check.result())).encode())
            sys.stderr.flush()
            os._exit(0)

    if check.prepare():
        watch = threading.Timer(check.left, end, [True])
        watch.daemon = True
        watch.start()
        check.measure()
    end(False)


if __name__ == "__main__":
    main(sys.argv[1:])
