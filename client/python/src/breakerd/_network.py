"""The servers and the connections to them, which can be closed and opened again."""

from __future__ import annotations

from typing import Optional

from breakerd._rpc import Connection, Connections
from breakerd._servers import Round, Servers
from breakerd.settings import Settings


class Network:
    """Safe to use from many threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.servers = Servers(settings.addresses)
        self.metadata = (("authorization", f"Bearer {settings.token}"),) if settings.token else ()
        self._connections: Optional[Connections] = None

    def open(self) -> None:
        """Connections can be made from now on; none is made yet."""
        self._connections = Connections(self._settings)

    def close(self) -> None:
        """Closes all connections, and cancels what is under way."""
        connections, self._connections = self._connections, None
        if connections is not None:
            connections.close()

    def to(self, round_: Round) -> Connection:
        """The connection to the server that a round asks now; RuntimeError if all are closed."""
        connections = self._connections
        if connections is None:
            raise RuntimeError("the connections are closed")
        return connections.to(round_.server, self.servers.is_wanted)
