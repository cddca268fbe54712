"""The examples, as programs, against a real server and a web server that is ill."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import breakerd
import pytest
from breakerd import BreakerConfig, Registry

from conftest import Admin, Server

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


class Ill(BaseHTTPRequestHandler):
    """Answers 503."""

    def do_GET(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def ill() -> Iterator[str]:
    """A web server that is ill."""
    web = ThreadingHTTPServer(("127.0.0.1", 0), Ill)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{web.server_address[1]}"
    web.shutdown()
    web.server_close()


def run(example: str, url: str, server: Server, code: str = "") -> list[str]:
    command = ["-c", code] if code else [str(EXAMPLES / f"{example}.py"), url]
    environment = {
        **os.environ,
        "BREAKERD_ADDRESS": server.address,
        "PRICES": url,
        "PYTHONPATH": str(EXAMPLES),
    }
    ended = subprocess.run(
        [sys.executable, *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.splitlines()


def create(client: breakerd.Client, name: str) -> None:
    Registry(client).get_or_create(name, BreakerConfig(failure_threshold=3, open_duration=60))


@pytest.mark.parametrize("example", ["requests_session", "httpx_client"])
def test_http_clients(
    example: str, ill: str, server: Server, client: breakerd.Client, admin: Admin
) -> None:
    create(client, "http/127.0.0.1")
    said = run(example, ill, server)
    assert said[:3] == ["503"] * 3
    if example == "httpx_client":
        assert said[-1].startswith("async: ")
    assert admin.metrics("http/127.0.0.1").last_failure_kind == "http.503"


def test_wsgi(ill: str, server: Server, client: breakerd.Client, admin: Admin) -> None:
    create(client, "shop/prices")
    code = """
import breakerd, time, wsgi
breakerd.client().ready(10)
def get(path):
    return b"".join(wsgi.application({"PATH_INFO": path}, lambda status, headers: None)).decode()
for _ in range(3):
    print(get("/apple"))
breaker, deadline = breakerd.client().breaker("shop/prices"), time.monotonic() + 10
while breaker.status().state is not breakerd.State.OPEN and time.monotonic() < deadline:
    time.sleep(0.01)
print(get("/apple"))
print(get("/healthz"))
"""
    said = run("wsgi", ill, server, code)
    assert "503" in said[0]
    assert "was denied (open)" in said[3]
    assert said[4] == '{"client": "ready", "unhealthy": ["shop/prices"]}'
    assert admin.metrics("shop/prices").last_failure_kind == "http.503"


def test_the_first_lines_of_the_readme(server: Server) -> None:
    text = (EXAMPLES.parent / "README.md").read_text()
    code = text.split("```python\n", 1)[1].split("```", 1)[0]
    said = run("readme", "", server, code.replace("127.0.0.1:7420", server.address))
    assert len(said) == 8
    assert "refused" in said[0]
    assert "a call of shop/prices was denied" in said[-1]
