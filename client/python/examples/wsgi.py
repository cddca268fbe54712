"""A WSGI application that serves less while its dependency is ill, instead of failing.

Works under any server; under a prefork one nothing has to be done::

    BREAKERD_ADDRESS=127.0.0.1:7420 PRICES=http://prices.example gunicorn --workers 4 wsgi
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from typing import Any, Optional
from wsgiref.simple_server import make_server

import breakerd

PRICES = os.environ.get("PRICES", "http://127.0.0.1:8000")


def judge(error: Exception) -> Optional[breakerd.Verdict]:
    """A 4xx is our own mistake; a 5xx is a failure that is known by its code."""
    if not isinstance(error, urllib.error.HTTPError):
        return None
    return breakerd.IGNORED if error.code < 500 else breakerd.failure(f"http.{error.code}")


def cached_price(error: Exception, item: str) -> Any:
    """What is served while the breaker is open, or the call fails."""
    return {"item": item, "price": None, "because": str(error)}


@breakerd.breaker(
    "shop/prices",
    fallback=cached_price,
    fallback_on_failure=True,
    classify_error=judge,
    on_level={"emergency": lambda error, item: {"item": item, "closed": True}},
)
def price(item: str) -> Any:
    """Asks the dependency."""
    with urllib.request.urlopen(f"{PRICES}/{item}", timeout=2) as response:
        return json.load(response)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What a WSGI server calls."""
    if environ["PATH_INFO"] == "/healthz":
        health = breakerd.Registry(breakerd.client()).health()
        body: Any = {
            "client": health.client.value,
            "unhealthy": [status.breaker for status in health.unhealthy],
        }
    else:
        body = price(environ["PATH_INFO"].strip("/") or "apple")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(body).encode()]


if __name__ == "__main__":
    make_server("127.0.0.1", 8080, application).serve_forever()
