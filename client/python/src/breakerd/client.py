"""The client: what an application begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Optional, Union

from breakerd._hub import Hub
from breakerd._options import Fallback, Options
from breakerd.breaker import Breaker, ErrorTypes
from breakerd.config import BreakerConfig
from breakerd.model import ClientState, OnUnavailable, Transition, Verdict
from breakerd.settings import Settings, Tls, make_settings

Addresses = Union[str, Iterable[str], None]


class Client:
    """A client of breakerd. Building one touches no network and begins no thread.

    Meant to live as long as the process: one that is not needed any more has to be shut down, or be
    used as a context. It survives a fork, in both processes.
    """

    def __init__(
        self,
        addresses: Addresses = None,
        *,
        client_id: Optional[str] = None,
        selectors: Iterable[str] = (),
        on_unavailable: Union[OnUnavailable, str] = OnUnavailable.LOCAL,
        token: Optional[str] = None,
        tls: Union[Tls, bool, None] = None,
        local_guard: Union[BreakerConfig, bool, None] = None,
        stale_after: float = 15.0,
        max_staleness: float = 60.0,
        permit_timeout: float = 0.25,
        request_timeout: float = 1.0,
        report_interval: float = 1.0,
        backoff_least: float = 0.1,
        backoff_most: float = 5.0,
    ) -> None:
        """The settings are explained in the table of the package's README; durations are seconds.

        Raises:
            ValueError: if a setting is wrong (AddressError and InvalidNameError are of its kind).
        """
        settings = make_settings(
            addresses,
            client_id,
            selectors,
            on_unavailable,
            tls,
            local_guard,
            token=token,
            stale_after=stale_after,
            max_staleness=max_staleness,
            permit_timeout=permit_timeout,
            request_timeout=request_timeout,
            report_interval=report_interval,
            backoff_least=backoff_least,
            backoff_most=backoff_most,
        )
        self._hub = Hub(settings)
        self._breakers: dict[str, Breaker] = {}

    def __repr__(self) -> str:
        return f"<Client {self.settings.client_id}: {self.state.value}>"

    @property
    def settings(self) -> Settings:
        """What the client was built with."""
        return self._hub.settings

    def breaker(self, name: str) -> Breaker:
        """The breaker of this name, ``namespace/name``; the same one for the same name.

        It is watched from now on. Names are meant to come from the application's code, not from
        its requests: what is known of each is kept.

        Raises:
            InvalidNameError: if the text is not a name.
        """
        return self._breaker(name, watch=True)

    def _breaker(self, name: str, *, watch: bool) -> Breaker:
        breaker = self._breakers.get(name)
        if breaker is None:
            core = self._hub.core(name, watch=watch)
            breaker = self._breakers.setdefault(name, Breaker(self._hub, core, Options()))
        elif watch:
            self._hub.ensure_running()
        return breaker

    def guard(
        self,
        name: str,
        *,
        fallback: Optional[Fallback] = None,
        fallback_on_failure: bool = False,
        expected: ErrorTypes = Exception,
        ignore: ErrorTypes = (),
        classify_error: Optional[Callable[[Exception], Optional[Verdict]]] = None,
        classify_result: Optional[Callable[[Any], Optional[Verdict]]] = None,
        on_level: Optional[Mapping[str, Fallback]] = None,
    ) -> Breaker:
        """A decorator: the breaker of this name with the options of :meth:`Breaker.options`."""
        return self.breaker(name).options(
            fallback=fallback,
            fallback_on_failure=fallback_on_failure,
            expected=expected,
            ignore=ignore,
            classify_error=classify_error,
            classify_result=classify_result,
            on_level=on_level,
        )

    @property
    def state(self) -> ClientState:
        """What the client knows: READY, STALE or FALLBACK."""
        return self._hub.state

    @property
    def since(self) -> datetime:
        """Since when it is in this state, in UTC."""
        return self._hub.since

    def ready(self, timeout: float) -> bool:
        """Waits until the client is READY, for so many seconds at most; whether it is."""
        return self._hub.ready(timeout)

    def on_transition(self, listener: Callable[[Transition], object]) -> Callable[[], None]:
        """Tells a listener of the changes of all breakers that are watched, as
        :meth:`Breaker.on_transition` does."""
        return self._hub.transitions.add(listener)

    def on_state(self, listener: Callable[[ClientState], object]) -> Callable[[], None]:
        """Tells a listener when the state of the client changes, on a thread of the client.

        Returns a function that removes the listener. One that fails is logged.
        """
        return self._hub.states.add(listener)

    @property
    def outcomes_given_up(self) -> int:
        """How many calls will never be reported: there were too many, or the server refused
        them."""
        return self._hub.given_up

    @property
    def outcomes_waiting(self) -> int:
        """How many calls wait to be reported, or for the answer of their report."""
        return self._hub.waiting

    def flush(self, timeout: float = 5.0) -> bool:
        """Reports what waits now, for so many seconds at most; whether all of that was reported."""
        return self._hub.flush(timeout)

    def shutdown(self, timeout: float = 5.0) -> bool:
        """Reports what waits, for so many seconds at most, and ends all that the client began.

        Calls afterwards are decided by ``on_unavailable`` and not reported. At the end of the
        process this happens by itself.

        Returns:
            Whether everything was reported.
        """
        return self._hub.shutdown(timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        error_type: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.shutdown()
