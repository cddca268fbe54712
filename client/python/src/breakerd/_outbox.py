"""Outcomes that wait to be reported: gathered into runs, in order, and never too many.

Pure, and used by one thread. Times are moments of our clock, durations seconds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Optional

from breakerd._proto.breaker.v1 import breaker_pb2 as pb
from breakerd._proto.breaker.v1 import service_pb2
from breakerd.model import Outcome

MAX_WAITING_RUNS = 10_000
MAX_BATCH_RUNS = 10_000
MAX_BATCH_BREAKERS = 1_000
MAX_RUN_CALLS = 1_000_000
HISTORY_AFTER = 15.0
"""Outcomes that are older, in seconds, when their report is made are history."""
MAX_AGE = 86_400.0
FULL_AFTER_GATHERING = MAX_WAITING_RUNS * 9 // 10

OUTCOMES = {
    Outcome.SUCCESS: pb.OUTCOME_SUCCESS,
    Outcome.FAILURE: pb.OUTCOME_FAILURE,
    Outcome.TIMEOUT: pb.OUTCOME_TIMEOUT,
    Outcome.IGNORED: pb.OUTCOME_IGNORED,
}


@dataclass
class Run:
    """Calls of one breaker and generation that ended one after another in the same way."""

    __slots__ = (
        "breaker",
        "count",
        "ended_at",
        "first_at",
        "generation",
        "kind",
        "longest",
        "outcome",
        "permit",
        "slow",
        "total",
    )

    breaker: str
    generation: int
    outcome: Outcome
    kind: str
    slow: bool
    permit: int
    count: int
    total: float
    longest: float
    first_at: float
    ended_at: float

    def is_like(self, other: Run) -> bool:
        """Whether the calls of both mean the same, and are too few together to be refused."""
        return (
            self.outcome is other.outcome
            and self.kind == other.kind
            and self.slow == other.slow
            and not self.permit
            and not other.permit
            and self.count + other.count <= MAX_RUN_CALLS
        )

    def absorb(self, other: Run) -> None:
        """Adds the calls of a run that ended after this one."""
        self._add(other)
        self.ended_at = max(self.ended_at, other.ended_at)

    def gather(self, other: Run) -> None:
        """Adds the calls of any other run. What comes of it is as old as the oldest of both: it
        may reach far back, and must not pass off history as fresh."""
        self._add(other)
        self.ended_at = min(self.ended_at, other.ended_at)

    def _add(self, other: Run) -> None:
        self.count += other.count
        self.total += other.total
        self.longest = max(self.longest, other.longest)
        self.first_at = min(self.first_at, other.first_at)

    def to_message(self, now: float) -> service_pb2.Run:
        """The run as it is reported now."""
        message = service_pb2.Run(
            outcome=OUTCOMES[self.outcome],
            count=self.count,
            slow_count=self.count if self.slow else 0,
            error_kind=self.kind,
            permit_id=self.permit,
        )
        total = round(self.total * 1e9)
        message.total_duration.FromNanoseconds(total)
        message.max_duration.FromNanoseconds(min(round(self.longest * 1e9), total))
        age = min(max(0.0, now - self.ended_at), MAX_AGE)
        message.age.FromNanoseconds(int(age * 1e9))
        return message


@dataclass(frozen=True)
class Batch:
    """What one report holds: runs, and whether each is history. Stays as it was made."""

    runs: tuple[tuple[Run, bool], ...]

    @property
    def calls(self) -> int:
        """How many calls it tells of."""
        return sum(run.count for run, _ in self.runs)

    def halves(self) -> Optional[tuple[Batch, Batch]]:
        """The batch in two, in order; ``None`` for a single run."""
        middle = len(self.runs) // 2
        return (Batch(self.runs[:middle]), Batch(self.runs[middle:])) if middle else None

    def to_message(self, reporter_id: str, sequence: int, now: float) -> service_pb2.ReportRequest:
        """The request, with ages as they are now."""
        request = service_pb2.ReportRequest(reporter_id=reporter_id, sequence=sequence)
        reports: dict[tuple[str, int, bool], service_pb2.BreakerReport] = {}
        for run, late in self.runs:
            key = (run.breaker, run.generation, late)
            report = reports.get(key)
            if report is None:
                report = reports[key] = request.reports.add(
                    breaker=run.breaker, generation=run.generation, late=late
                )
            report.runs.append(run.to_message(now))
        return request


class Outbox:
    """What waits. A run spans at most ``span`` seconds, so that its age tells of all its calls."""

    def __init__(self, span: float) -> None:
        self._span = span
        self._runs: deque[Run] = deque()
        self._last: dict[tuple[str, int], Run] = {}
        # Once everything was gathered: the run that takes in more of a kind.
        self._gathered: Optional[dict[object, Run]] = None
        self.given_up = 0
        self.waiting = 0

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: Run, now: float) -> None:
        """Takes in calls that ended after all others of their breaker and generation."""
        self.waiting += run.count
        key = (run.breaker, run.generation)
        last = self._last.get(key)
        if last is not None and last.is_like(run) and run.ended_at - last.first_at <= self._span:
            last.absorb(run)
            return
        self._runs.append(run)
        self._last[key] = run
        if len(self._runs) > MAX_WAITING_RUNS:
            self._make_room(now)

    def take(self, now: float) -> Batch:
        """Takes out what goes into the next report."""
        taken: list[tuple[Run, bool]] = []
        breakers: set[str] = set()
        while self._runs and len(taken) < MAX_BATCH_RUNS:
            run = self._runs[0]
            if run.breaker not in breakers and len(breakers) == MAX_BATCH_BREAKERS:
                break
            breakers.add(run.breaker)
            self._runs.popleft()
            self.waiting -= run.count
            taken.append((run, now - run.ended_at > HISTORY_AFTER))
        self._last.clear()
        self._gathered = None
        return Batch(tuple(taken))

    def give_up(self, calls: int) -> None:
        """Counts calls that will not be reported."""
        self.given_up += calls

    def _make_room(self, now: float) -> None:
        self._last.clear()
        if self._gathered is None:
            self._gather(now, history_only=True)
            if len(self._runs) > FULL_AFTER_GATHERING:
                self._gathered = self._gather(now, history_only=False)
        else:
            newest = self._runs.pop()
            key = self._key(newest, now)
            same = self._gathered.get(key)
            if same is not None and same.is_like(newest):
                same.gather(newest)
            else:
                self._runs.append(newest)
                self._gathered[key] = newest
        while len(self._runs) > MAX_WAITING_RUNS:
            oldest = self._runs.popleft()
            self.waiting -= oldest.count
            self.give_up(oldest.count)
            if self._gathered is not None:
                self._gathered.pop(self._key(oldest, now), None)

    def _gather(self, now: float, *, history_only: bool) -> dict[object, Run]:
        gathered: dict[object, Run] = {}
        kept: deque[Run] = deque()
        for run in self._runs:
            late = now - run.ended_at > HISTORY_AFTER
            key = self._key(run, now)
            same = gathered.get(key) if late or not history_only else None
            if same is not None and same.is_like(run):
                same.gather(run)
            else:
                kept.append(run)
                gathered[key] = run
        self._runs = kept
        return gathered

    @staticmethod
    def _key(run: Run, now: float) -> object:
        late = now - run.ended_at > HISTORY_AFTER
        return (run.breaker, run.generation, run.outcome, run.kind, run.slow, run.permit, late)
