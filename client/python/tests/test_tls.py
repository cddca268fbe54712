"""Encryption and the token, with certificates for names that exist nowhere."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Union

import breakerd
import grpc
import pytest
from breakerd import Tls

from conftest import eventually
from hollow import HollowServer

NAME = "breakerd.invalid"


class Identity(NamedTuple):
    """A certificate that vouches for itself, and its key; both PEM."""

    certificate: bytes
    key: bytes


def identity(folder: Path, name: str) -> Identity:
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    what = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    where = ["-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", *kind, *what, *where]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Identity(certificate.read_bytes(), key.read_bytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.fail("openssl is missing: install openssl")
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def own(folder: Path) -> Identity:
    """The identity of the server."""
    return identity(folder, NAME)


@pytest.fixture(scope="module")
def other(folder: Path) -> Identity:
    """The identity of somebody else."""
    return identity(folder, "somebody.invalid")


@pytest.fixture
def server(own: Identity) -> Iterator[HollowServer]:
    server = HollowServer(credentials=grpc.ssl_server_credentials([(own.key, own.certificate)]))
    yield server
    server.close()


def test_every_request_carries_the_token(server: HollowServer, own: Identity) -> None:
    tls = Tls(ca=own.certificate, server_name=NAME)
    with breakerd.Client(server.address, token="s3cret", tls=tls) as client:
        breaker = client.breaker("a/b")
        assert client.ready(10)
        breaker.acquire().failure("Oops")
        assert client.flush()
    expected = {method: {"Bearer s3cret"} for method in ("Watch", "Acquire", "Report")}
    assert server.tokens == expected


def test_a_client_can_show_a_certificate(own: Identity, other: Identity) -> None:
    pairs = [(own.key, own.certificate)]
    credentials = grpc.ssl_server_credentials(pairs, other.certificate, require_client_auth=True)
    server = HollowServer(credentials=credentials)
    try:
        for certificate, is_let_in in ((other, True), (own, False)):
            tls = Tls(own.certificate, certificate.certificate, certificate.key, NAME)
            with breakerd.Client(server.address, tls=tls) as client:
                assert client.ready(10 if is_let_in else 0.5) is is_let_in
    finally:
        server.close()


def test_a_server_that_cannot_be_trusted_harms_no_call(
    server: HollowServer, own: Identity, other: Identity
) -> None:
    not_trusted: list[Union[Tls, bool, None]] = [
        Tls(ca=other.certificate, server_name=NAME),
        Tls(ca=own.certificate, server_name="elsewhere.invalid"),
        Tls(ca=b"no certificate at all"),
        True,
        None,
    ]
    for tls in not_trusted:
        client = breakerd.Client(server.address, token="s3cret", tls=tls, backoff_most=0.1)
        guarded = client.breaker("a/b")(int)
        assert not client.ready(0.3)
        assert guarded() == 0
        with pytest.raises(ZeroDivisionError):
            client.breaker("a/b").call(lambda: 1 / 0)
        eventually(lambda client=client: client.outcomes_waiting == 2)  # type: ignore[misc]
        assert not client.shutdown(0.2)
    assert not server.tokens, "the token is shown to nobody who cannot be trusted"
