"""The driver of the conformance suite: reads commands from standard input, answers on standard
output. ``client/README.md`` describes both."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Optional

import breakerd

Command = dict[str, Any]
Answer = dict[str, Any]

DURATIONS = (
    "stale_after",
    "max_staleness",
    "permit_timeout",
    "request_timeout",
    "report_interval",
    "backoff_least",
    "backoff_most",
)


class Driver:
    """One client, and the guards that were given names."""

    def __init__(self) -> None:
        self._client: Optional[breakerd.Client] = None
        self._guards: dict[str, breakerd.Guard] = {}
        self._lock = threading.Lock()
        self._transitions: list[Answer] = []
        self._states: list[str] = []

    def answer(self, command: Command) -> Answer:
        """Does what a command says."""
        name = "do_" + str(command.get("do"))
        action: Optional[Callable[[Command], Answer]] = getattr(self, name, None)
        if action is None:
            raise ValueError(f"`{command.get('do')}` is no command")
        return action(command)

    @property
    def client(self) -> breakerd.Client:
        """The client; there is none before `build`."""
        if self._client is None:
            raise ValueError("`build` comes first")
        return self._client

    def do_build(self, command: Command) -> Answer:
        plain = ("addresses", "client_id", "selectors", "on_unavailable", "token")
        settings = {key: command[key] for key in plain if key in command}
        settings.update({key: command[key] / 1000 for key in DURATIONS if key in command})
        if "local_guard" in command:
            settings["local_guard"] = breakerd.BreakerConfig(**command["local_guard"])
        self._client = breakerd.Client(**settings)
        if command.get("listen"):
            self._client.on_transition(self._on_transition)
            self._client.on_state(self._on_state)
        return {}

    def do_ready(self, command: Command) -> Answer:
        return {"ready": self.client.ready(command.get("timeout", 5000) / 1000)}

    def do_breaker(self, command: Command) -> Answer:
        self.client.breaker(command["breaker"])
        return {}

    def do_call(self, command: Command) -> Answer:
        breaker = self.client.breaker(command["breaker"])
        outcome = breakerd.Outcome(command.get("outcome", "success"))
        kind, duration = command.get("kind", ""), command.get("duration", 0) / 1000
        answer: Answer = {"allowed": 0, "denied": 0}
        slowest = 0.0
        for _ in range(command.get("times", 1)):
            began = time.perf_counter()
            try:
                guard = breaker.acquire()
            except breakerd.BreakerOpenError as denied:
                slowest = max(slowest, time.perf_counter() - began)
                answer["denied"] += 1
                answer.update(described(denied.denial))
                continue
            slowest = max(slowest, time.perf_counter() - began)
            answer["allowed"] += 1
            if duration:
                time.sleep(duration)
            guard.finish(outcome, kind)
        answer["decided_in"] = round(slowest * 1e6)
        return answer

    def do_acquire(self, command: Command) -> Answer:
        breaker = self.client.breaker(command["breaker"])
        try:
            guard = breaker.acquire()
        except breakerd.BreakerOpenError as denied:
            return {"allowed": False, **described(denied.denial)}
        self._guards[command["as"]] = guard
        return {"allowed": True, "probe": guard.is_probe, "generation": guard.generation}

    def do_finish(self, command: Command) -> Answer:
        outcome = breakerd.Outcome(command.get("outcome", "success"))
        self._guards.pop(command["guard"]).finish(outcome, command.get("kind", ""))
        return {}

    def do_drop(self, command: Command) -> Answer:
        del self._guards[command["guard"]]
        return {}

    def do_status(self, command: Command) -> Answer:
        status = self.client.breaker(command["breaker"]).status()
        return {
            "client": status.client.value,
            "state": status.state.value,
            "mode": status.mode.value,
            "generation": status.generation,
            "revision": status.revision,
            "level": status.level.number if status.level else None,
        }

    def do_events(self, command: Command) -> Answer:
        with self._lock:
            transitions, self._transitions = self._transitions, []
            states, self._states = self._states, []
        return {"transitions": transitions, "states": states}

    def do_flush(self, command: Command) -> Answer:
        return {"flushed": self.client.flush(command.get("timeout", 5000) / 1000)}

    def do_counts(self, command: Command) -> Answer:
        client = self.client
        return {"given_up": client.outcomes_given_up, "waiting": client.outcomes_waiting}

    def do_shutdown(self, command: Command) -> Answer:
        return {"flushed": self.client.shutdown()}

    def _on_transition(self, transition: breakerd.Transition) -> None:
        event = {
            "breaker": transition.breaker,
            "from": transition.before.state.value,
            "to": transition.after.state.value,
            "from_mode": transition.before.mode.value,
            "to_mode": transition.after.mode.value,
        }
        with self._lock:
            self._transitions.append(event)

    def _on_state(self, state: breakerd.ClientState) -> None:
        with self._lock:
            self._states.append(state.value)


def described(denial: breakerd.Denial) -> Answer:
    """A denial as the suite knows it."""
    after = denial.retry_after
    return {
        "reason": denial.reason.value,
        "retry_after": None if after is None else round(after * 1000),
        "level": denial.level.number if denial.level else None,
        "serve": denial.level.serve if denial.level else None,
    }


def main() -> None:
    driver = Driver()
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            answer = driver.answer(json.loads(line))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
