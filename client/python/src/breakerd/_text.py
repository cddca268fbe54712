"""Names, selectors and kinds of errors: what the protocol takes, and what matches what."""

from __future__ import annotations

import re
from functools import lru_cache

from breakerd.errors import InvalidNameError

MAX_NAME_BYTES = 200
MAX_KIND_BYTES = 128

_NAME = re.compile(r"[a-z0-9._-]+(?:/[a-z0-9._-]+)+")
_FOREIGN = re.compile(r"[^a-z0-9._/-]")
_FOREIGN_IN_SELECTOR = re.compile(r"[^a-z0-9._/*-]")


def check_name(name: str) -> str:
    """Returns the name if it is one.

    Raises:
        InvalidNameError: with the rule that it breaks.
    """
    if not isinstance(name, str):
        raise InvalidNameError(f"a name is a str, not {type(name).__name__}")
    if len(name) <= MAX_NAME_BYTES and _NAME.fullmatch(name):
        return name
    if not name:
        raise InvalidNameError("a name cannot be empty")
    size = len(name.encode("utf-8", "surrogatepass"))
    if size > MAX_NAME_BYTES:
        raise InvalidNameError(
            f"the name is {size} bytes long; at most {MAX_NAME_BYTES} are allowed"
        )
    foreign = _FOREIGN.search(name)
    if foreign:
        raise InvalidNameError(
            f"{name!r} contains {foreign.group()!r}; a name holds lower-case letters, digits, "
            "`.`, `_` and `-`, in parts joined by `/`"
        )
    if "/" in name:
        raise InvalidNameError(f"{name!r} has an empty part")
    raise InvalidNameError(f"{name!r} has one part; a name has two or more, `namespace/name`")


def check_selector(selector: str) -> str:
    """Returns a name or a glob if it is one; raises as :func:`check_name` does."""
    if "*" not in selector:
        return check_name(selector)
    if len(selector) > MAX_NAME_BYTES:
        raise InvalidNameError(f"the selector is longer than {MAX_NAME_BYTES} bytes")
    foreign = _FOREIGN_IN_SELECTOR.search(selector)
    if foreign:
        raise InvalidNameError(f"the selector {selector!r} contains {foreign.group()!r}")
    return selector


@lru_cache(maxsize=4096)
def _name_pattern(selector: str) -> re.Pattern[str]:
    parts = re.split(r"(\*+)", selector)
    return re.compile(
        "".join(
            (".*" if len(part) > 1 else "[^/]*") if part[:1] == "*" else re.escape(part)
            for part in parts
        )
    )


def selects(selector: str, name: str) -> bool:
    """Whether a selector matches a name: ``*`` stays within a part, ``**`` does not."""
    if "*" not in selector:
        return selector == name
    return _name_pattern(selector).fullmatch(name) is not None


@lru_cache(maxsize=1024)
def _kind_pattern(glob: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, re.split(r"\*+", glob))), re.DOTALL)


def matches_kind(glob: str, kind: str) -> bool:
    """Whether a glob over error kinds matches: ``*`` is any text."""
    return glob == "*" or _kind_pattern(glob).fullmatch(kind) is not None


@lru_cache(maxsize=1024)
def tame_kind(kind: str) -> str:
    """The kind as the protocol takes it: no control characters, 128 bytes of UTF-8 at most."""
    if kind.isascii() and kind.isprintable() and len(kind) <= MAX_KIND_BYTES:
        return kind
    kept = "".join(c for c in kind if not ("\0" <= c <= "\x1f" or "\x7f" <= c <= "\x9f"))
    return kept.encode("utf-8", "ignore")[:MAX_KIND_BYTES].decode("utf-8", "ignore")
