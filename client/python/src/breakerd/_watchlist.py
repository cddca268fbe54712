"""Which selectors to watch: those that were asked for, and the names that the application uses."""

from __future__ import annotations

from collections.abc import Iterable

from breakerd._text import selects

MAX_SELECTORS = 1_000
NOBODY = "-/-"
"""Watched while no name is known, because a watch of nothing is one of everything."""


class Watchlist:
    """The names that were asked for, and the selectors that cover them."""

    def __init__(self, selectors: Iterable[str]) -> None:
        self._given = tuple(dict.fromkeys(selectors))
        self._globs = tuple(selector for selector in self._given if "*" in selector)
        self._names: dict[str, None] = {}
        self._watched: frozenset[str] = frozenset()
        self._watched_globs: tuple[str, ...] = ()

    def add(self, name: str) -> bool:
        """Adds a name; whether what is watched does not cover it yet."""
        if name not in self._given and not any(selects(glob, name) for glob in self._globs):
            self._names[name] = None
        return not self._is_watched(name)

    def selectors(self) -> tuple[str, ...]:
        """What to watch now."""
        names = list(self._names)  # at once: names are added by other threads
        chosen = (*self._given, *names)
        if len(chosen) > MAX_SELECTORS:
            parts = dict.fromkeys(name.split("/", 1)[0] for name in names)
            chosen = (*self._given, *(f"{part}/**" for part in parts))
        if len(chosen) > MAX_SELECTORS:
            chosen = ("**",)
        return chosen or (NOBODY,)

    def watch(self, selectors: Iterable[str]) -> None:
        """These selectors are watched from now on."""
        watched = tuple(selectors)
        self._watched_globs = tuple(selector for selector in watched if "*" in selector)
        self._watched = frozenset(watched)

    def _is_watched(self, name: str) -> bool:
        return name in self._watched or any(selects(glob, name) for glob in self._watched_globs)
