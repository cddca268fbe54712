"""Guards what a `requests` session does, by a breaker for each host. Needs `requests`.

Usage: BREAKERD_ADDRESS=127.0.0.1:7420 python requests_session.py URL
"""

from __future__ import annotations

import sys
from typing import Any, Optional
from urllib.parse import urlsplit

import breakerd
import requests
from requests.adapters import HTTPAdapter


def judge(response: requests.Response) -> Optional[breakerd.Verdict]:
    """A 5xx is a failure of the server, a 429 is one of kind `http.429`; all else is fine."""
    if response.status_code >= 500 or response.status_code == 429:
        return breakerd.failure(f"http.{response.status_code}")
    return None


class BreakerAdapter(HTTPAdapter):
    """An adapter to mount: `session.mount("https://", BreakerAdapter(client))`.

    A denied request raises BreakerOpenError, which no retry of `requests` repeats.
    """

    def __init__(self, client: breakerd.Client, namespace: str = "http", **settings: Any) -> None:
        super().__init__(**settings)
        self._client = client
        self._namespace = namespace

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        host = (urlsplit(request.url or "").hostname or "unknown").lower()
        breaker = self._client.guard(f"{self._namespace}/{host}", classify_result=judge)
        return breaker.call(super().send, request, **options)


def main() -> None:
    client = breakerd.Client()
    session = requests.Session()
    session.mount("http://", BreakerAdapter(client))
    session.mount("https://", BreakerAdapter(client))
    client.ready(timeout=2)
    for _ in range(10):
        try:
            print(session.get(sys.argv[1], timeout=5).status_code)
        except breakerd.BreakerOpenError as denied:
            print(denied)
        except requests.RequestException as error:
            print(type(error).__name__)


if __name__ == "__main__":
    main()
