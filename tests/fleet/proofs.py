"""The proofs, in the order in which they are run. Each begins with calls flowing and leaves them
flowing, but for the first three, which look at one opening together."""

import time

from breaker.v1 import admin_pb2, breaker_pb2
from fleet import (
    BREAKER,
    CALL_TIMEOUT_SECONDS,
    FAILURE_THRESHOLD,
    MAX_PROBES,
    OPEN_SECONDS,
    REPLICAS,
    REST_MS,
    SUCCESS_THRESHOLD,
    WORKERS,
    Fleet,
    now_ns,
)
from journal import per_replica, wait_until
from report import Proof, listed

# How long the upstream takes for a call: in the daily round, and while probes shall overlap.
QUICK_MS = 5
SLOW_MS = 120

# How soon every replica has to see a change.
SEEN_WITHIN_MS = 100.0

# How far apart a smart client's reports of failures are once there were many, in milliseconds.
REPORT_SPACING_MS = 200

# By how much a moment may differ from the one that it should be, in seconds.
TOLERANCE_SECONDS = 0.15

# How long OPEN lasts in the proof that ends the server meanwhile.
LONG_OPEN_SECONDS = 10.0


def opens_together(fleet: Fleet, proof: Proof) -> None:
    """The failures of all replicas are counted together."""
    began_ns = now_ns()
    fleet.upstream_behaves("work", QUICK_MS)
    fleet.wait_until_watching(0)
    fleet.wait_until_flowing(began_ns)
    _trip(fleet, proof, "fail", "failure")


def is_seen_everywhere(fleet: Fleet, proof: Proof) -> None:
    """Every replica's watch tells of the same opening."""
    opened = _last_opening(fleet)
    _check_seen(fleet, proof, opened, state="open")


def keeps_calls_away(fleet: Fleet, proof: Proof) -> None:
    """No call reaches the upstream for as long as the same opening lasts."""
    opened = _last_opening(fleet)
    settled_ns, started = now_ns(), fleet.upstream_counts()["started"]
    while fleet.breaker().retry_after.ToNanoseconds() > TOLERANCE_SECONDS * 1e9:
        time.sleep(0.05)
    looked_ns, started_until = now_ns(), fleet.upstream_counts()["started"]
    denied = per_replica(REPLICAS, fleet.journal.calls(settled_ns, outcome="denied"))
    seconds = (looked_ns - settled_ns) / 1e9
    proof.note(f"denied in {seconds:.1f} s: {listed(denied)}")
    still_open = fleet.last_transition_id() == opened.id
    proof.check(still_open and seconds > OPEN_SECONDS / 2, "OPEN lasted all that time")
    proof.check(min(denied.values()) > 0, "every replica asked")
    proof.check(
        started_until == started, f"calls that reached the upstream: {started_until - started}"
    )


def recovers_by_probes(fleet: Fleet, proof: Proof) -> None:
    """The opening ends by itself, in probes, and then calls flow."""
    opened = _last_opening(fleet)
    fleet.upstream_behaves("work", SLOW_MS)
    half_open = fleet.wait_for_state(breaker_pb2.STATE_HALF_OPEN, opened.id, OPEN_SECONDS * 2)
    closed = fleet.wait_for_state(breaker_pb2.STATE_CLOSED, opened.id, 10.0)
    fleet.upstream_behaves("work", QUICK_MS)
    fleet.wait_until_flowing(closed.time.ToNanoseconds())

    lasted = (half_open.time.ToNanoseconds() - opened.time.ToNanoseconds()) / 1e9
    probes = fleet.journal.calls(opened.time.ToNanoseconds(), probe=True)
    by_replica = per_replica(REPLICAS, probes)
    highest = fleet.upstream_counts()["highest_in_flight"].get(str(half_open.generation), 0)
    flowing = fleet.journal.calls(closed.time.ToNanoseconds(), generation=closed.generation)
    proof.note(f"probes: {listed(by_replica)}")
    proof.note(f"calls since it closed: {listed(per_replica(REPLICAS, flowing))}")
    proof.check(
        abs(lasted - OPEN_SECONDS) < TOLERANCE_SECONDS,
        f"OPEN lasted {lasted:.3f} s of {OPEN_SECONDS:g} s",
    )
    proof.check(
        highest == MAX_PROBES,
        f"probes in flight at once, as the upstream counted: {highest}, max_probes {MAX_PROBES}",
    )
    proof.check(
        closed.counts.success_count == SUCCESS_THRESHOLD
        and closed.cause == admin_pb2.CAUSE_PROBES_SUCCEEDED,
        f"closed after {closed.counts.success_count} successful probes of {SUCCESS_THRESHOLD}",
    )


def hanging_opens(fleet: Fleet, proof: Proof) -> None:
    """A dependency that does not answer opens the breaker as one that fails does."""
    began_ns = now_ns()
    opened = _trip(fleet, proof, "hang", "timeout")
    took = [call.seconds for call in fleet.journal.calls(began_ns, outcome="timeout")]
    proof.check(
        min(took) >= CALL_TIMEOUT_SECONDS and max(took) < CALL_TIMEOUT_SECONDS + TOLERANCE_SECONDS,
        f"calls were given up after {min(took):.3f} to {max(took):.3f} s, "
        f"call_timeout {CALL_TIMEOUT_SECONDS:g} s",
    )
    fleet.upstream_behaves("work", QUICK_MS)
    closed = fleet.wait_for_state(breaker_pb2.STATE_CLOSED, opened.id, OPEN_SECONDS + 10.0)
    fleet.wait_until_flowing(closed.time.ToNanoseconds())
    proof.note("it closed again, and calls of every replica succeed")


def is_forced_open(fleet: Fleet, proof: Proof) -> None:
    """A person stops all replicas, and lets them go on."""
    last, before_ns = fleet.last_transition_id(), now_ns()
    time.sleep(1.0)
    proof.note(f"calls/s before:  {_rates(fleet, before_ns)}")

    fleet.breakerctl("force-open", BREAKER, "--reason", "fleet proof")
    forced = fleet.wait_for_state(breaker_pb2.STATE_OPEN, last, 5.0)
    _check_seen(fleet, proof, forced, mode="forced_open")
    fleet.wait_until_denied(forced.time.ToNanoseconds(), "forced_open")
    held_ns, started = now_ns(), fleet.upstream_counts()["started"]
    time.sleep(1.5)
    started_until = fleet.upstream_counts()["started"]
    denied = per_replica(REPLICAS, fleet.journal.calls(held_ns, reason="forced_open"))
    proof.note(f"calls/s forced:  {_rates(fleet, held_ns)}")
    proof.note(f"denied: {listed(denied)}")
    proof.check(
        started_until == started,
        f"calls that reached the upstream in 1.5 s: {started_until - started}",
    )
    proof.check(min(denied.values()) > 0, "every replica asked")

    fleet.breakerctl("release", BREAKER)
    closed = fleet.wait_for_state(breaker_pb2.STATE_CLOSED, forced.id, 10.0)
    fleet.wait_until_flowing(closed.time.ToNanoseconds())
    after_ns = now_ns()
    time.sleep(1.0)
    proof.note(f"calls/s after:   {_rates(fleet, after_ns)}")
    steps = [breaker_pb2.State.Name(t.to_state)[6:] for t in fleet.transitions(forced.id)]
    proof.check(steps == ["HALF_OPEN", "CLOSED"], f"released to {' and then '.join(steps)}")


def survives_kill(fleet: Fleet, proof: Proof) -> None:
    """OPEN outlives the server."""
    fleet.breakerctl("update", BREAKER, "--set", f"open_duration={LONG_OPEN_SECONDS:g}s")
    opened = _trip(fleet, proof, "fail", "failure")
    time.sleep(1.0)
    started = fleet.upstream_counts()["started"]
    before, before_at = fleet.breaker(), time.monotonic()
    killed_ns = now_ns()
    fleet.kill_breakerd()
    # Smart replicas go by their copies, the raw one by what it was told to do without a server.
    fleet.wait_until_denied(killed_ns, "open", "unavailable")
    time.sleep(0.5)

    fleet.start_breakerd(fleet.address, fleet.http_address)
    restarted_ns = now_ns()
    after, after_at = fleet.breaker(), time.monotonic()
    fleet.wait_until_watching(killed_ns)
    fleet.wait_until_denied(restarted_ns, "open")
    back = fleet.journal.first_sights(killed_ns, event="connected")
    lost = fleet.journal.first_sights(killed_ns, event="disconnected")
    reached = fleet.upstream_counts()["started"] - started

    left_before, left_after = (b.retry_after.ToNanoseconds() / 1e9 for b in (before, after))
    away = after_at - before_at
    proof.note(
        f"retry_after {left_before:.3f} s before the kill, {left_after:.3f} s after the start, "
        f"{away:.3f} s between"
    )
    reconnected = {name: f"{(s.seen_ns - restarted_ns) / 1e6:+.0f} ms" for name, s in back.items()}
    proof.note(f"watching again, from when the server listened: {listed(reconnected)}")
    proof.check(
        after.state.state == breaker_pb2.STATE_OPEN
        and after.state.generation == before.state.generation,
        f"{breaker_pb2.State.Name(after.state.state)[6:]} in generation "
        f"{after.state.generation}, before it was {before.state.generation}",
    )
    proof.check(
        abs(left_before - away - left_after) < TOLERANCE_SECONDS, "the rest of its time was kept"
    )
    proof.check(
        len(lost) == len(REPLICAS) and len(back) == len(REPLICAS),
        f"replicas that lost the server: {len(lost)}, that came back by themselves: {len(back)}",
    )
    proof.check(reached == 0, f"calls that reached the upstream meanwhile: {reached}")

    fleet.upstream_behaves("work", QUICK_MS)
    half_open = fleet.wait_for_state(
        breaker_pb2.STATE_HALF_OPEN, opened.id, LONG_OPEN_SECONDS + 5.0
    )
    closed = fleet.wait_for_state(breaker_pb2.STATE_CLOSED, opened.id, 10.0)
    fleet.wait_until_flowing(closed.time.ToNanoseconds())
    lasted = (half_open.time.ToNanoseconds() - opened.time.ToNanoseconds()) / 1e9
    proof.check(
        abs(lasted - LONG_OPEN_SECONDS) < TOLERANCE_SECONDS,
        f"OPEN lasted {lasted:.3f} s of {LONG_OPEN_SECONDS:g} s over both lives of the server",
    )
    proof.note("it closed again, and calls of every replica succeed")


def _trip(fleet: Fleet, proof: Proof, behaviour: str, outcome: str) -> admin_pb2.Transition:
    """Lets the upstream go wrong and checks that the breaker opens at the threshold."""
    before, last = fleet.breaker(), fleet.last_transition_id()
    fleet.upstream_behaves(behaviour, QUICK_MS)
    opened = fleet.wait_for_state(breaker_pb2.STATE_OPEN, last, 10.0)
    fleet.wait_until_denied(opened.time.ToNanoseconds(), "open")

    # All calls of the generation that ended with the opening have ended by now.
    generation = before.state.generation
    calls = fleet.journal.calls(0, outcome=outcome, generation=generation)
    failed = per_replica(REPLICAS, calls)
    counted = opened.counts.failure_count
    in_flight = len(calls) - counted

    def reported() -> int:
        now = fleet.breaker().metrics
        return now.failures + now.timeouts - before.metrics.failures - before.metrics.timeouts

    # Replicas report in the background, so the last outcomes may still be on their way.
    wait_until(lambda: reported() >= len(calls), 2.0, f"the server knows all {len(calls)} calls")
    proof.note(f"{outcome}s: {listed(failed)}")
    proof.check(
        counted == FAILURE_THRESHOLD and opened.cause == admin_pb2.CAUSE_FAILURE_THRESHOLD,
        f"opened at {counted} {outcome}s of the fleet, failure_threshold {FAILURE_THRESHOLD}",
    )
    most = len(REPLICAS) * WORKERS * (1 + REPORT_SPACING_MS // REST_MS)
    proof.check(
        0 <= in_flight <= most and reported() == len(calls),
        f"{outcome}s of all replicas: {len(calls)} = {counted} + {in_flight} that were in flight or "
        f"on their way, {most} at most; the server knows of {reported()}",
    )
    proof.check(
        max(failed.values()) < FAILURE_THRESHOLD,
        f"most of one replica: {max(failed.values())}, too few to open a breaker of its own",
    )
    return opened


def _check_seen(
    fleet: Fleet, proof: Proof, transition: admin_pb2.Transition, **wanted: object
) -> None:
    """Checks how soon every replica's watch told of a transition that began a generation."""
    at_ns = transition.time.ToNanoseconds()

    def sights() -> dict:
        generation = transition.generation
        return fleet.journal.first_sights(0, event="state", generation=generation, **wanted)

    wait_until(lambda: len(sights()) == len(REPLICAS), 5.0, "every replica sees it")
    after = {name: (sight.seen_ns - at_ns) / 1e6 for name, sight in sorted(sights().items())}
    proof.note("seen after: " + listed({name: f"{ms:.1f} ms" for name, ms in after.items()}))
    slowest = max(after.values())
    proof.check(
        slowest <= SEEN_WITHIN_MS,
        f"{len(after)} replicas of {len(REPLICAS)} saw it, the last one after {slowest:.1f} ms",
    )


def _last_opening(fleet: Fleet) -> admin_pb2.Transition:
    return [t for t in fleet.transitions(0) if t.to_state == breaker_pb2.STATE_OPEN][-1]


def _rates(fleet: Fleet, since_ns: int) -> str:
    """Calls per second that each replica made since then, with whatever outcome."""
    seconds = (now_ns() - since_ns) / 1e9
    made = [call for call in fleet.journal.calls(since_ns) if call.outcome != "denied"]
    counts = per_replica(REPLICAS, made)
    return listed({name: f"{count / seconds:.0f}" for name, count in counts.items()})


PROOFS = [
    ("the fleet opens after the configured number of failures altogether", opens_together),
    ("every replica sees OPEN at once", is_seen_everywhere),
    ("while OPEN the upstream gets no call", keeps_calls_away),
    ("recovery lets through max_probes calls at a time from the whole fleet", recovers_by_probes),
    ("an upstream that hangs opens it, too", hanging_opens),
    ("breakerctl stops all replicas and brings them back", is_forced_open),
    ("OPEN survives kill -9 of breakerd with the rest of its time", survives_kill),
]
