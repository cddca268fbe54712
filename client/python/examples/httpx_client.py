"""Guards what `httpx` clients do, sync and async, by a breaker for each host. Needs `httpx`.

Usage: BREAKERD_ADDRESS=127.0.0.1:7420 python httpx_client.py URL
"""

from __future__ import annotations

import asyncio
import sys
from typing import Optional

import breakerd
import httpx


def judge(response: httpx.Response) -> Optional[breakerd.Verdict]:
    """A 5xx is a failure of the server, a 429 is one of kind `http.429`; all else is fine."""
    if response.status_code >= 500 or response.status_code == 429:
        return breakerd.failure(f"http.{response.status_code}")
    return None


def breaker_for(client: breakerd.Client, request: httpx.Request) -> breakerd.Breaker:
    """The breaker of the host that a request goes to."""
    return client.guard(f"http/{request.url.host.lower()}", classify_result=judge)


class BreakerTransport(httpx.BaseTransport):
    """For `httpx.Client(transport=BreakerTransport(client))`."""

    def __init__(
        self, client: breakerd.Client, transport: Optional[httpx.BaseTransport] = None
    ) -> None:
        self._client = client
        self._transport = transport or httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return breaker_for(self._client, request).call(self._transport.handle_request, request)

    def close(self) -> None:
        self._transport.close()


class AsyncBreakerTransport(httpx.AsyncBaseTransport):
    """For `httpx.AsyncClient(transport=AsyncBreakerTransport(client))`.

    A response must begin within the breaker's `call_timeout`.
    """

    def __init__(
        self, client: breakerd.Client, transport: Optional[httpx.AsyncBaseTransport] = None
    ) -> None:
        self._client = client
        self._transport = transport or httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        breaker = breaker_for(self._client, request)
        return await breaker.call_async(self._transport.handle_async_request, request)

    async def aclose(self) -> None:
        await self._transport.aclose()


async def in_async(client: breakerd.Client, url: str) -> None:
    async with httpx.AsyncClient(transport=AsyncBreakerTransport(client)) as http:
        try:
            print("async:", (await http.get(url)).status_code)
        except breakerd.BreakerOpenError as denied:
            print("async:", denied)


def main() -> None:
    client = breakerd.Client()
    client.ready(timeout=2)
    with httpx.Client(transport=BreakerTransport(client)) as http:
        for _ in range(10):
            try:
                print(http.get(sys.argv[1]).status_code)
            except breakerd.BreakerOpenError as denied:
                print(denied)
            except httpx.HTTPError as error:
                print(type(error).__name__)
    asyncio.run(in_async(client, sys.argv[1]))


if __name__ == "__main__":
    main()
