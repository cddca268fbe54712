"""What a client is built with. Durations are seconds."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Optional, Union

from breakerd._servers import parse_addresses
from breakerd._text import check_selector
from breakerd.config import BreakerConfig
from breakerd.model import OnUnavailable

DEFAULT_ADDRESS = "127.0.0.1:7420"
ADDRESS_VARIABLE = "BREAKERD_ADDRESS"
MAX_CLIENT_ID_BYTES = 180


@dataclass(frozen=True)
class Tls:
    """How connections are encrypted; each value is PEM, as bytes.

    Without ``ca`` servers are checked against the certificates that gRPC ships. ``server_name`` is
    the name that their certificate must carry, where that is not the host of the address.
    """

    ca: Optional[bytes] = None
    certificate: Optional[bytes] = None
    key: Optional[bytes] = None
    server_name: Optional[str] = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("a client certificate and its key go together")


def _client_id() -> str:
    return f"python-{os.getpid()}-{secrets.token_hex(4)}"


@dataclass(frozen=True)
class Settings:
    """The checked settings of a client; see the table in the package's README."""

    addresses: tuple[str, ...]
    client_id: str = field(default_factory=_client_id)
    selectors: tuple[str, ...] = ()
    on_unavailable: OnUnavailable = OnUnavailable.LOCAL
    token: Optional[str] = None
    tls: Optional[Tls] = None
    local_guard: Optional[BreakerConfig] = None
    stale_after: float = 15.0
    max_staleness: float = 60.0
    permit_timeout: float = 0.25
    request_timeout: float = 1.0
    report_interval: float = 1.0
    backoff_least: float = 0.1
    backoff_most: float = 5.0

    def __post_init__(self) -> None:
        if len(self.client_id.encode()) > MAX_CLIENT_ID_BYTES:
            raise ValueError(f"a client_id has at most {MAX_CLIENT_ID_BYTES} bytes")
        for name in (
            "stale_after",
            "max_staleness",
            "permit_timeout",
            "request_timeout",
            "report_interval",
        ):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0 s")
        if not 0 < self.backoff_least <= self.backoff_most:
            raise ValueError("backoff_least must be above 0 s, and backoff_most at least as long")


def make_settings(
    addresses: Union[str, Iterable[str], None],
    client_id: Optional[str],
    selectors: Iterable[str],
    on_unavailable: Union[OnUnavailable, str],
    tls: Union[Tls, bool, None],
    local_guard: Union[BreakerConfig, bool, None],
    **others: object,
) -> Settings:
    """Checks what a builder was given; raises ValueError with what is wrong."""
    if addresses is None:
        addresses = os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS
    if isinstance(selectors, str):
        selectors = (selectors,)
    if client_id is not None:
        others["client_id"] = client_id
    return Settings(
        addresses=parse_addresses(addresses),
        selectors=tuple(check_selector(selector) for selector in selectors),
        on_unavailable=OnUnavailable(on_unavailable),
        tls=Tls() if tls is True else tls or None,
        local_guard=BreakerConfig() if local_guard is True else local_guard or None,
        **others,  # type: ignore[arg-type]
    )
