"""What all parts of a client share: its breakers, its background work, its listeners."""

from __future__ import annotations

import contextlib
import logging
import threading
from datetime import datetime, timezone
from typing import Optional

from breakerd import _fork
from breakerd._ask import Ask
from breakerd._core import Core, Home
from breakerd._engine import Engine, Host
from breakerd._held import Held
from breakerd._notify import Listeners, Notifier
from breakerd._reporter import Reporter
from breakerd._rules import Rules
from breakerd._text import check_name
from breakerd._watchlist import Watchlist
from breakerd.model import ClientState, Transition
from breakerd.settings import Settings

logger = logging.getLogger("breakerd")


class Hub(Home, Host):
    """The inside of a client. Its background work begins when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._lock = threading.Lock()
        self._cores: dict[str, Core] = {}
        self._core_list: tuple[Core, ...] = ()
        self._engine: Optional[Engine] = None
        self._is_shut = False
        self._inherited: Optional[Engine] = None
        self._ready = threading.Event()
        self._told_state = ClientState.FALLBACK
        self.since = datetime.now(timezone.utc)
        self.transitions = Listeners()
        self.states = Listeners()
        self.of_breaker: dict[str, Listeners] = {}
        self._notifier = Notifier()
        self.use(settings)
        _fork.register(self)

    def use(self, settings: Settings) -> None:
        """Goes by these settings. Raises RuntimeError once the background work has begun."""
        with self._lock:
            if self._engine is not None or self._is_shut:
                raise RuntimeError("this client is at work; its settings cannot change any more")
            self.settings = settings
            self.on_unavailable = settings.on_unavailable
            self.local_guard = False
            if settings.local_guard is not None:
                own = settings.local_guard
                self.local_guard = Rules.of(own.to_message()) if own.set_keys() else True
            self._watchlist = Watchlist(settings.selectors)
            for name in self._cores:
                self._watchlist.add(name)

    def core(self, name: str, *, watch: bool) -> Core:
        """The breaker of this name, made at its first use.

        ``watch`` begins the background work; otherwise the first call does.
        """
        core = self._cores.get(name)
        if core is None:
            check_name(name)
            with self._lock:
                core = self._cores.get(name)
                if core is None:
                    core = Core(name, self)
                    is_new = self._watchlist.add(name)
                    self._cores[name] = core
                    self._core_list = (*self._core_list, core)
                    if self._engine is not None:
                        self._refresh(core, self._engine)
                        if is_new:
                            self._engine.watch_name()
        if watch:
            self.ensure_running()
        return core

    # What cores need.

    def ensure_running(self) -> None:
        if self._engine is None and not self._is_shut:
            self._begin()

    def _begin(self) -> None:
        with self._lock:
            if self._engine is not None or self._is_shut:
                return
            engine = Engine(self.settings, self._watchlist, self, self._on_change)
            if self._inherited is not None:
                engine.inherit(self._inherited)
                self._inherited = None
            try:
                engine.start()
            except RuntimeError as error:  # the interpreter is on its way out
                logger.debug("the client cannot begin its work: %s", error)
                self._is_shut = True
                return
            self._engine = engine
            for core in self._core_list:
                self._refresh(core, engine)
        _fork.flush_at_exit(self)

    def wake(self) -> None:
        engine = self._engine
        if engine is not None:
            engine.wake()

    def ask(self, core: Core) -> Ask:
        engine = self._engine
        assert engine is not None  # decisions that ask go by a copy
        return Ask(core, engine.ask, self.settings.permit_timeout)

    # What the engine tells, on its thread.

    def drain(self, reporter: Reporter, since: float, now: float) -> None:
        for core in self._core_list:
            for run, prompt in core.drain(since, now):
                reporter.add(run, prompt=prompt, since=since, now=now)

    def refresh_all(self) -> None:
        with self._lock:
            engine = self._engine
            if engine is None:
                return
            for core in self._core_list:
                self._refresh(core, engine)
            state = engine.link.state
        if state is not self._told_state:
            self._told_state = state
            self.since = datetime.now(timezone.utc)
            if state is ClientState.READY:
                self._ready.set()
            else:
                self._ready.clear()
            self._notifier.tell(self.states, state)

    def came(self) -> None:
        self.messages += 1

    def _on_change(self, name: str, before: Optional[Held], after: Optional[Held]) -> None:
        core = self._cores.get(name)
        engine = self._engine
        if core is not None and engine is not None:
            with self._lock:
                self._refresh(core, engine)
        if before is None or after is None:
            return
        old, new = before.standing(), after.standing()
        if old != new:
            event = Transition(name, old, new)
            self._notifier.tell(self.transitions, event)
            of_breaker = self.of_breaker.get(name)
            if of_breaker is not None:
                self._notifier.tell(of_breaker, event)

    def _refresh(self, core: Core, engine: Engine) -> None:
        state = ClientState.FALLBACK if self._is_shut else engine.link.state
        held = engine.copy.get(core.name)
        is_known = held is not None or engine.copy.covers(core.name)
        core.refresh(
            held,
            from_copy=is_known and state is not ClientState.FALLBACK,
            is_ready=state is ClientState.READY,
        )

    # What the application asks.

    @property
    def state(self) -> ClientState:
        """READY, STALE or FALLBACK."""
        engine = self._engine
        return ClientState.FALLBACK if engine is None or self._is_shut else engine.link.state

    @property
    def given_up(self) -> int:
        """Calls that will not be reported, since the client was built."""
        engine = self._engine
        return engine.reporter.outbox.given_up if engine else 0

    @property
    def waiting(self) -> int:
        """Calls that the server has not answered for; those of the last moments not included."""
        engine = self._engine
        return engine.reporter.waiting if engine else 0

    def ready(self, timeout: float) -> bool:
        """Waits until the client is READY, so many seconds at most."""
        self.ensure_running()
        return self._ready.wait(timeout)

    def flush(self, timeout: float) -> bool:
        """Reports what waits now, for so many seconds at most; whether all of that was reported."""
        engine = self._engine
        return engine is None or self._is_shut or engine.flush(timeout)

    def held(self) -> list[tuple[str, Held]]:
        """What the copy holds."""
        engine = self._engine
        return engine.copy.items() if engine else []

    def shutdown(self, timeout: float) -> bool:
        """Reports what waits, and ends all that was begun; whether everything was reported."""
        with self._lock:
            engine = self._engine
            was_shut, self._is_shut = self._is_shut, True
        if was_shut or engine is None:
            return True
        flushed = engine.flush(timeout)
        self.is_closed = True
        engine.stop()
        with self._lock:
            for core in self._core_list:
                self._refresh(core, engine)
        if not flushed:
            engine.reporter.outbox.give_up(engine.reporter.waiting)
        self._told_state = ClientState.FALLBACK
        self._ready.clear()
        self._notifier.stop(timeout=1.0)
        return flushed

    # What a fork needs.

    def pause(self) -> bool:
        """Before a fork: nothing of the network is left alive. Whether there was anything."""
        engine = self._engine
        if engine is None or self._is_shut:
            return False
        engine.stop()
        return True

    def resume(self) -> None:
        """After a fork, in the process that forked: goes on where it was."""
        engine = self._engine
        if engine is not None and not self._is_shut:
            with contextlib.suppress(RuntimeError):
                engine.start()

    def begin_anew(self) -> None:
        """After a fork, in the new process: begins again when it is first needed.

        The outcomes that wait are those of the other process, which reports them.
        """
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._notifier = Notifier()
        if self._engine is not None:
            self._inherited = self._engine
            self._engine = None
        self._told_state = ClientState.FALLBACK
        self.since = datetime.now(timezone.utc)
        self.messages = 0
        for core in self._core_list:
            core.begin_anew()
