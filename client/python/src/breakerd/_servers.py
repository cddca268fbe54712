"""The servers of a fleet, and which of them is asked.

All requests go to one server until it is away or says that it stands by; then the one that it
names as the leader is asked, or else the next one in the list. A round asks no server twice.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from enum import Enum
from typing import Optional, Union

from breakerd.errors import AddressError

MAX_LEARNED_A_ROUND = 2
"""How many leaders that are not in the list one round asks."""

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[^\s/:@\[\]?#]+):(\d{1,5})")


def parse_address(text: str) -> str:
    """Returns ``host:port``, without ``http://`` if that stands before it.

    Raises:
        AddressError: if it is none.
    """
    address = text.strip()
    if address.startswith("http://"):
        address = address[len("http://") :].rstrip("/")
    match = _ADDRESS.fullmatch(address)
    if not match or not 0 < int(match.group(2)) < 65_536:
        raise AddressError(f"{text!r} is not an address; write `host:port`")
    return address.lower()


def parse_addresses(addresses: Union[str, Iterable[str]]) -> tuple[str, ...]:
    """Reads a list, or a text with commas; raises AddressError."""
    texts = addresses.split(",") if isinstance(addresses, str) else list(addresses)
    parsed = tuple(dict.fromkeys(parse_address(text) for text in texts if text.strip()))
    if not parsed:
        raise AddressError("there is no address")
    return parsed


class Step(Enum):
    """Who comes after a server that did not serve a request."""

    LEADER = "the one that was named as the leader"
    NEXT = "the next one in the list"
    OVER = "nobody: all were asked"


class Round:
    """How one request, or the opening of one stream, goes about the servers."""

    __slots__ = ("asked", "learned", "server")

    def __init__(self, server: str, *, learned: bool) -> None:
        self.server = server
        self.asked: list[str] = []
        self.learned = int(learned)

    def renew(self) -> None:
        """Begins afresh with this server, because it has answered."""
        self.asked.clear()
        self.learned = 0


class Servers:
    """Knows who is asked first. Safe to use from many threads."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self._configured = addresses
        self._first = addresses[0]
        self._lock = threading.Lock()

    def begin(self) -> Round:
        """Begins a round."""
        first = self._first
        return Round(first, learned=first not in self._configured)

    def advance(self, round_: Round, leader: Optional[str]) -> Step:
        """Moves a round on from a server that was away, or that named another one.

        Later rounds begin with the server that this one moves to, unless another round has moved
        them on already.
        """
        failed = round_.server
        round_.asked.append(failed)
        named = self._leader(round_, leader)
        step, server = (Step.LEADER, named) if named else self._next(round_)
        round_.server = server
        with self._lock:
            if self._first == failed:
                self._first = server
        return step

    def settle(self, round_: Round) -> None:
        """Lets later rounds begin with the server that has answered this one."""
        if round_.asked:
            with self._lock:
                self._first = round_.server

    def is_wanted(self, address: str) -> bool:
        """Whether a connection to it is worth keeping."""
        return address in self._configured or address == self._first

    def _leader(self, round_: Round, leader: Optional[str]) -> Optional[str]:
        try:
            address = parse_address(leader) if leader else None
        except AddressError:
            return None
        if address is None or address in round_.asked:
            return None
        if address not in self._configured:
            if round_.learned == MAX_LEARNED_A_ROUND:
                return None
            round_.learned += 1
        return address

    def _next(self, round_: Round) -> tuple[Step, str]:
        # After a learned server the list goes on after the one that it was learned from.
        listed = [address for address in round_.asked if address in self._configured]
        start = self._configured.index(listed[-1]) + 1 if listed else 0
        in_turn = self._configured[start:] + self._configured[:start]
        for address in in_turn:
            if address not in round_.asked:
                return Step.NEXT, address
        return Step.OVER, in_turn[0]
