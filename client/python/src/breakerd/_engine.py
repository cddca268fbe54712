"""The background work of a client: one thread that owns the copy, the state of the client and
what is to be reported, and two that wait for the server on its behalf.

All three can be paused, so that nothing of gRPC is alive while the process forks.
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Optional, Union

from breakerd import _clock
from breakerd._ask import OnAnswer
from breakerd._copy import Copy, OnChange
from breakerd._link import Link
from breakerd._network import Network
from breakerd._pacing import Backoff
from breakerd._proto.breaker.v1 import service_pb2 as pb
from breakerd._question import Question
from breakerd._reporter import Reporter
from breakerd._rpc import Failure
from breakerd._sender import Reported, Sender
from breakerd._servers import Round, Step
from breakerd._watcher import Came, Ended, Watcher
from breakerd._watchlist import Watchlist
from breakerd.settings import Settings

GATHER_NAMES = 0.005
"""How long a new name waits for others, in seconds."""
DRAIN_EVERY = 1.0
"""How long what has ended may lie where calls leave it, in seconds."""
STOP_WITHIN = 2.0
"""How long a thread that was told to end may take, in seconds."""

logger = logging.getLogger("breakerd")

Command = Callable[[float], None]
Item = Union[Command, Came, Ended, Reported, None]


class Host:
    """What the engine tells the client. All on the engine's thread."""

    def drain(self, reporter: Reporter, since: float, now: float) -> None:
        """Moves what has ended since then into the reporter."""

    def refresh_all(self) -> None:
        """The client's state, or what the copy covers, has changed."""

    def came(self) -> None:
        """A message of the stream has come."""


class Engine:
    """Begins with :meth:`start`; ends with :meth:`stop`."""

    def __init__(
        self, settings: Settings, watchlist: Watchlist, host: Host, on_change: OnChange
    ) -> None:
        now = _clock.now()
        self._settings = settings
        self._watchlist = watchlist
        self._host = host
        self.copy = Copy(on_change)
        self.link = Link(settings.stale_after, settings.max_staleness, now)
        self._network = Network(settings)
        self._servers = self._network.servers
        self._inbox: SimpleQueue[Item] = SimpleQueue()
        least, most = settings.backoff_least, settings.backoff_most
        reporter_id = f"{settings.client_id}-{secrets.token_hex(8)}"
        self.reporter = Reporter(reporter_id, settings.report_interval, least, most, now)
        self._drained_at = now
        self._drain_every = min(settings.report_interval, DRAIN_EVERY)
        # Who waits, and for how many calls to be settled.
        self._flushes: list[tuple[threading.Event, int]] = []
        self._woken = False
        # The stream: its number, whether it is there, and what it is of.
        self._backoff = Backoff(least, most)
        self._stream = 0
        self._is_open = False
        self._is_complete = False
        self._quiet_since = now
        self._open_at: Optional[float] = now + GATHER_NAMES
        self._selectors: tuple[str, ...] = ()
        self._token = b""
        self._round: Round = self._servers.begin()
        self._report_round: Round = self._servers.begin()
        self._threads: Optional[tuple[threading.Thread, Watcher, Sender]] = None

    # Called from any thread.

    def inherit(self, other: Engine) -> None:
        """Before the start, in a forked process: takes over the copy, as a stale one."""
        self.copy = other.copy
        self.link.inherit(other.link.state, _clock.now())

    def start(self) -> None:
        """Begins the threads, or begins them again after :meth:`stop`. Touches no network."""
        self._network.open()
        self._watcher = Watcher(self._inbox.put)
        self._sender = Sender(self._send, self._inbox.put)
        thread = threading.Thread(target=self._run, name="breakerd-client", daemon=True)
        self._threads = (thread, self._watcher, self._sender)
        for part in self._threads:
            part.start()

    def stop(self) -> None:
        """Ends the threads and closes all connections, within seconds."""
        threads, self._threads = self._threads, None
        if threads is None:
            return
        thread, watcher, sender = threads
        self._inbox.put(None)
        if thread is not threading.current_thread():
            thread.join(STOP_WITHIN)
        watcher.stop()
        sender.stop()
        self._network.close()
        watcher.join(STOP_WITHIN)
        sender.join(STOP_WITHIN)
        self._go_back()

    def wake(self) -> None:
        """Something has ended that is to be looked at. Takes no lock."""
        if not self._woken:
            self._woken = True
            self._inbox.put(self._on_wake)

    def watch_name(self) -> None:
        """The watchlist has a name that is not watched yet."""
        self._inbox.put(self._on_name)

    def flush(self, timeout: float) -> bool:
        """Waits until all that has ended before is reported, so many seconds at most; whether it
        was."""
        done = threading.Event()

        def begin(now: float) -> None:
            self._drain(now)
            self.reporter.flush(now)
            self._flushes.append((done, self.reporter.taken_in))

        def give_up(_: float) -> None:
            self._end_flushes(lambda waiter, _: waiter is done)

        self._inbox.put(begin)
        is_done = done.wait(timeout)
        if not is_done:
            self._inbox.put(give_up)
        return is_done

    def ask(self, name: str, on_answer: OnAnswer) -> None:
        """Asks for a permit in the background; ``None`` is the answer if there is none."""
        settings = self._settings
        request = pb.AcquireRequest(breaker=name, client_id=settings.client_id)
        Question(self._network, request, on_answer, settings.permit_timeout).ask()

    def _go_back(self) -> None:
        """Makes what was under way something to begin again; nobody else is at work now."""
        kept: list[Command] = []
        while True:
            try:
                item = self._inbox.get_nowait()
            except Empty:
                break
            if isinstance(item, Reported):
                self._on_reported(item)
            elif item is not None and not isinstance(item, (Came, Ended)):
                kept.append(item)
        for command in kept:
            self._inbox.put(command)
        now = _clock.now()
        self.reporter.interrupted(now)
        if self._is_open:
            self._is_open = False
            self._open_at = now

    # The engine's thread.

    def _run(self) -> None:
        while True:
            try:
                item = self._inbox.get(timeout=self._wait(_clock.now()))
            except Empty:
                item = self._tick
            if item is None:
                return
            try:
                self._handle(item)
                self._tick(_clock.now())
            except Exception:
                logger.exception("the client has failed at something, and goes on")

    def _handle(self, item: Union[Command, Came, Ended, Reported]) -> None:
        if isinstance(item, Came):
            self._watcher.taken_in()
            self._on_message(item)
        elif isinstance(item, Ended):
            self._on_end(item)
        elif isinstance(item, Reported):
            self._on_reported(item)
        else:
            item(_clock.now())

    def _wait(self, now: float) -> float:
        due = [self._drained_at + self._drain_every]
        due += [at for at in (self.reporter.due_at(now), self.link.due_at()) if at is not None]
        if self._is_open:
            due.append(self._quiet_since + self._settings.stale_after)
        if self._open_at is not None:
            due.append(self._open_at)
        return max(0.0, min(due) - now)

    def _tick(self, now: float) -> None:
        due = self.reporter.due_at(now)
        if now >= self._drained_at + self._drain_every or (due is not None and due <= now):
            self._drain(now)
        request = self.reporter.next_report(now)
        if request is not None:
            self._sender.send(request)
        if self._is_open and now >= self._quiet_since + self._settings.stale_after:
            self._quiet_since = now
            self._watcher.cut()
        if self._open_at is not None and now >= self._open_at:
            self._open(now)
        if self.link.pass_time(now):
            self._host.refresh_all()
        if self._flushes:
            settled = self.reporter.settled
            for done in self._end_flushes(lambda _, target: target <= settled):
                done.set()

    def _end_flushes(
        self, is_over: Callable[[threading.Event, int], bool]
    ) -> list[threading.Event]:
        over = [done for done, target in self._flushes if is_over(done, target)]
        if over:
            self._flushes = [entry for entry in self._flushes if entry[0] not in over]
            if not self._flushes:
                self.reporter.stop_flushing()
        return over

    def _on_wake(self, now: float) -> None:
        self._woken = False
        self._drain(now)

    def _drain(self, now: float) -> None:
        self._host.drain(self.reporter, self._drained_at, now)
        self._drained_at = now
        if self._flushes:
            self.reporter.flush(now)

    # The stream.

    def _on_name(self, now: float) -> None:
        # A stream that is still to be made takes the name along.
        if self._open_at is None:
            self._open_at = now + GATHER_NAMES

    def _open(self, now: float) -> None:
        self._open_at = None
        selectors = self._watchlist.selectors()
        if selectors != self._selectors:
            self._selectors, self._token = selectors, b""
        elif self._is_open:
            return
        self._is_complete = False
        self._watchlist.watch(selectors)
        self._stream += 1
        self._is_open = True
        self._quiet_since = now
        token = self._token
        self.copy.begin(selectors, resumed=bool(token))
        request = pb.WatchRequest(selectors=selectors, resume_token=token)
        self._watcher.watch(self._stream, self._open_stream, request)

    def _open_stream(self, request: pb.WatchRequest) -> Any:
        return self._network.to(self._round).watch(request, metadata=self._network.metadata)

    def _on_message(self, came: Came) -> None:
        if came.stream != self._stream or not self._is_open:
            return
        self._quiet_since = came.at
        self._backoff.reset()
        self._servers.settle(self._round)
        self._round.renew()
        message = came.message
        self.copy.apply(message, came.at)
        self._token = message.resume_token
        if message.reset:
            self._is_complete = False
        is_news = message.snapshot_complete and not self._is_complete
        self._is_complete = self._is_complete or message.snapshot_complete
        self._host.came()
        if self.link.sign_of_life(came.at, complete=self._is_complete) or is_news:
            self._host.refresh_all()

    def _on_end(self, ended: Ended) -> None:
        if ended.stream != self._stream or not self._is_open:
            return
        now = _clock.now()
        self._is_open = False
        failure = ended.failure
        logger.debug("the stream of %s is cut: %s", self._round.server, failure.text)
        step = self._servers.advance(self._round, failure.leader)
        if step is Step.LEADER:
            self._open_at = now
        else:
            self._open_at = now + self._backoff.next_delay(random.random())
            self._round = self._servers.begin()
        if self.link.cut(now):
            logger.info("the copy is stale: %s", failure.text)
            self._host.refresh_all()

    # Reports.

    def _send(self, request: pb.ReportRequest) -> pb.ReportResponse:
        response: pb.ReportResponse = self._network.to(self._report_round).report(
            request,
            timeout=self._settings.request_timeout,
            metadata=self._network.metadata,
        )
        return response

    def _on_reported(self, reported: Reported) -> None:
        result = reported.result
        if not isinstance(result, Failure):
            self._servers.settle(self._report_round)
            self._report_round = self._servers.begin()
            self.reporter.answered()
            self.copy.apply_answer(result.states, result.server_time, reported.at)
        elif result.is_wrong:
            lost = self.reporter.refused()
            if lost:
                logger.warning("outcomes of %d calls are given up: %s", lost, result.text)
        else:
            step = self._servers.advance(self._report_round, result.leader)
            if step is Step.OVER:
                self._report_round = self._servers.begin()
            at_once = step is Step.LEADER
            self.reporter.unanswered(reported.at, random.random(), at_once=at_once)
            logger.debug("a report was not answered: %s", result.text)
