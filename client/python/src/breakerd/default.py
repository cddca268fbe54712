"""The client of the module: for applications that need one, and decorate at import."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Optional

from breakerd._options import Fallback
from breakerd.breaker import Breaker, ErrorTypes
from breakerd.client import Client
from breakerd.model import Verdict

_lock = threading.Lock()
_client: Optional[Client] = None


def client() -> Client:
    """The client that :func:`breaker` uses.

    Unless :func:`configure` said otherwise, it asks the servers that ``BREAKERD_ADDRESS`` names
    (``host:port``, several with commas), or else ``127.0.0.1:7420``.
    """
    global _client
    with _lock:
        if _client is None:
            _client = Client()
        return _client


def configure(*args: Any, **settings: Any) -> Client:
    """Sets up the client that :func:`breaker` uses, with the arguments of :class:`Client`.

    Breakers that were asked for before, as by decorators at import, use it, too.

    Raises:
        ValueError: if a setting is wrong.
        RuntimeError: if the client has begun its work, which its first call does.
    """
    wanted = Client(*args, **settings).settings
    existing = client()
    existing._hub.use(wanted)
    return existing


def breaker(
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
    """The breaker of this name, of the client of the module; a decorator, among other things.

    Nothing begins before the first call. The options are those of :meth:`Breaker.options`.

    Raises:
        InvalidNameError: if the text is not a name.
    """
    return (
        client()
        ._breaker(name, watch=False)
        .options(
            fallback=fallback,
            fallback_on_failure=fallback_on_failure,
            expected=expected,
            ignore=ignore,
            classify_error=classify_error,
            classify_result=classify_result,
            on_level=on_level,
        )
    )
