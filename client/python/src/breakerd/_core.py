"""One breaker as this process knows it: decides, and takes in how calls ended."""

from __future__ import annotations

import random
import threading
from typing import TYPE_CHECKING, NamedTuple, Optional, Union

from breakerd import _clock
from breakerd._held import NOT_THERE, Held
from breakerd._lane import WAKE_EVERY, Entry, Lane, run_of
from breakerd._local import LocalBreaker
from breakerd._outbox import Run
from breakerd._permits import PermitGate
from breakerd._rules import Rules
from breakerd.guard import Guard
from breakerd.model import Denial, Mode, OnUnavailable, Outcome, Reason, State

if TYPE_CHECKING:
    from breakerd._ask import Ask

RETIRED_FOR = 10.0
"""How long a lane of an older generation is still looked at, in seconds."""


class View(NamedTuple):
    """What decisions go by. Changed as a whole."""

    held: Held
    from_copy: bool
    lane: Lane
    is_doubtful: bool = False
    """A stale copy says CLOSED, and the breaker of this process is to find out whether it is so."""


class Home:
    """What a core needs of its client."""

    on_unavailable: OnUnavailable = OnUnavailable.LOCAL
    local_guard: Union[Rules, bool] = False
    """Rules of its own, or whether the breaker's are taken."""
    messages: int = 0
    """How many messages the stream has brought."""
    is_closed: bool = False

    def ensure_running(self) -> None:
        """Begins the background work, if it has not begun in this process."""

    def wake(self) -> None:
        """Lets the background work look at what has ended. Takes no lock."""

    def ask(self, core: Core) -> Ask:
        """Asks the server for a permit."""
        raise NotImplementedError


class Core:
    """The state of a breaker that all of its users share.

    ``open_lane`` is where calls that need no decision leave how they ended: the breaker is CLOSED,
    and nothing else is to be asked. It is ``None`` whenever :meth:`decide` has to be called.
    """

    def __init__(self, name: str, home: Home) -> None:
        self.name = name
        self.home = home
        self.open_lane: Optional[Lane] = None
        self._retired: list[tuple[Lane, float]] = []
        self._strays: list[tuple[int, Entry]] = []
        self._is_announced = False
        self.view = View(NOT_THERE, False, Lane(name, 0, NOT_THERE.rules))
        self.begin_anew()

    def begin_anew(self) -> None:
        """After a fork: locks may be held by threads that are gone, and what waits is the
        parent's to report."""
        self.open_lane = None
        self._lock = threading.Lock()
        self.gate = PermitGate()
        self._local: Optional[LocalBreaker] = None
        self._guard: Optional[LocalBreaker] = None
        self._credit = random.random() * 100
        for lane in (self.view.lane, *(lane for lane, _ in self._retired)):
            lane.disown()
        self._retired.clear()
        self._strays.clear()
        held = self.view.held
        self.view = View(held, False, Lane(self.name, held.generation, held.rules))

    # What the background work tells.

    def refresh(self, held: Optional[Held], *, from_copy: bool, is_ready: bool) -> None:
        """Goes by what the copy holds now, or by ``on_unavailable``."""
        known = held or NOT_THERE
        lane = self.view.lane
        if lane.generation != known.generation:
            lane.limit = -1.0
            self._retired.append((lane, _clock.now() + RETIRED_FOR))
            lane = Lane(self.name, known.generation, known.rules)
        if held is not None:
            self._is_announced = True
        elif from_copy and self.view.held is not NOT_THERE:
            # It was deleted: the next outcome creates it anew.
            self._is_announced = False
        lane.use(known.rules, is_quick=self._is_announced or not from_copy)
        if is_ready:
            self._local = None
        guard = self._guard
        if guard is not None and not isinstance(self.home.local_guard, Rules):
            guard.use(known.rules)
        is_doubtful = (
            from_copy
            and not is_ready
            and known.state is State.CLOSED
            and known.mode is Mode.NORMAL
            and self._policy(known) is OnUnavailable.LOCAL
        )
        self.view = View(known, from_copy, lane, is_doubtful)
        self.open_lane = lane if self._flows(self.view) else None

    def _policy(self, held: Held) -> OnUnavailable:
        return held.on_unavailable or self.home.on_unavailable

    def _flows(self, view: View) -> bool:
        home, held = self.home, view.held
        if home.is_closed or home.local_guard is not False or view.is_doubtful:
            return False
        if not view.from_copy:
            return self._policy(held) is OnUnavailable.ALLOW
        if held.mode in (Mode.FORCED_CLOSED, Mode.DISABLED):
            return True
        return held.state is State.CLOSED and held.mode is not Mode.FORCED_OPEN

    def drain(self, since: float, now: float) -> list[tuple[Run, bool]]:
        """Takes out what has ended since then, in order within a generation."""
        runs: list[tuple[Run, bool]] = []
        if self._retired:
            for lane, _ in self._retired:
                runs += lane.drain(since)
            self._retired = [(lane, until) for lane, until in self._retired if until > now]
        runs += self.view.lane.drain(since)
        if self._strays:
            strays = self._strays[:]
            del self._strays[: len(strays)]
            runs += [(run_of(self.name, generation, e), e.prompt) for generation, e in strays]
        return runs

    # What calls do.

    def decide(self) -> Union[Guard, Denial, Ask]:
        """Leave to make a call, a denial, or a question to the server."""
        self.home.ensure_running()
        decision = self._decide()
        if self.home.local_guard is False or isinstance(decision, Denial):
            return decision
        guard = self._local_guard()
        now = _clock.now()
        ticket = guard.admit(now)
        if ticket is None:
            decision.unmade()
            return self.denial(Reason.LOCAL_OPEN, guard.retry_after(now))
        decision.also_under(guard, ticket)
        return decision

    def _decide(self) -> Union[Guard, Denial, Ask]:
        view = self.view
        held, lane = view.held, view.lane
        now = _clock.now()
        if view.is_doubtful or not view.from_copy:
            return self.decide_alone()
        if held.mode is Mode.FORCED_OPEN:
            return self.denial(Reason.FORCED_OPEN, _left(held.override_ends_at, now))
        if held.mode in (Mode.FORCED_CLOSED, Mode.DISABLED) or held.state is State.CLOSED:
            return Guard(self, lane, lane.generation)
        is_shadow = held.mode is Mode.SHADOW
        if held.state is State.OPEN and (held.retry_at is None or now < held.retry_at):
            if is_shadow:
                return Guard(self, lane, lane.generation)
            return self.denial(Reason.OPEN, _left(held.retry_at, now))
        if held.state is State.HALF_OPEN and held.admit_percent is not None:
            if is_shadow or self._ramp_admits(held.admit_percent):
                return Guard(self, lane, lane.generation)
            return self.denial(Reason.RAMP, None)
        if self.gate.enter(held.rules.max_probes, self.home.messages, now):
            return self.home.ask(self)
        if is_shadow:
            return Guard(self, lane, lane.generation)
        return self.denial(Reason.NO_PERMIT, None)

    def decide_alone(self) -> Union[Guard, Denial]:
        """Decides by ``on_unavailable``."""
        held, lane = self.view.held, self.view.lane
        policy = self._policy(held)
        if policy is OnUnavailable.ALLOW:
            return Guard(self, lane, lane.generation)
        if policy is OnUnavailable.DENY:
            return self.denial(Reason.UNAVAILABLE, None)
        with self._lock:
            local = self._local
            if local is None:
                half_open = held.state is not State.CLOSED
                local = self._local = LocalBreaker(held.rules, half_open=half_open)
        now = _clock.now()
        ticket = local.admit(now)
        if ticket is None:
            return self.denial(Reason.LOCAL_OPEN, local.retry_after(now))
        return Guard(self, lane, lane.generation, local=(local, ticket))

    def denial(self, reason: Reason, retry_after: Optional[float]) -> Denial:
        """A denial with what is known of the breaker."""
        held = self.view.held
        return Denial(self.name, reason, held.state, held.mode, retry_after, held.level)

    def record(
        self,
        lane: Lane,
        generation: int,
        outcome: Outcome,
        kind: str,
        duration: float,
        ended_at: float,
        permit: int,
    ) -> None:
        """Takes in how a call ended. Takes no lock, waits for nothing, raises nothing."""
        home = self.home
        current = self.view.lane
        if home.is_closed or lane.is_foreign:
            return
        hurries = permit != 0 or outcome is Outcome.FAILURE or outcome is Outcome.TIMEOUT
        if not self._is_announced and self.view.from_copy:
            self._is_announced = hurries = True
            current.use(self.view.held.rules, is_quick=True)
        slow = duration > lane.slow_after
        entry = Entry(outcome, kind, slow, duration, ended_at, permit, hurries)
        if current.generation == generation:
            current.append(entry)
        else:
            self._strays.append((generation, entry))
        if hurries or not len(current.buffer) % WAKE_EVERY:
            home.wake()

    def _ramp_admits(self, percent: int) -> bool:
        with self._lock:
            self._credit += percent
            admitted = self._credit >= 100
            if admitted:
                self._credit -= 100
            return admitted

    def _local_guard(self) -> LocalBreaker:
        with self._lock:
            if self._guard is None:
                own = self.home.local_guard
                rules = own if isinstance(own, Rules) else self.view.held.rules
                self._guard = LocalBreaker(rules)
            return self._guard


def _left(moment: Optional[float], now: float) -> Optional[float]:
    return None if moment is None else max(0.0, moment - now)
