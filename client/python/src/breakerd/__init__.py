"""Circuit breakers that a whole fleet shares: the Python client of breakerd.

::

    import breakerd

    @breakerd.breaker("payments/stripe", fallback=lambda error, order: "later")
    def charge(order): ...

See :class:`Client` for more than that, and the package's README for all of it.
"""

from breakerd.breaker import Breaker, Call
from breakerd.client import Client
from breakerd.config import BreakerConfig
from breakerd.default import breaker, client, configure
from breakerd.errors import (
    AddressError,
    AdminError,
    BreakerError,
    BreakerOpenError,
    CallTimeout,
    InvalidNameError,
)
from breakerd.guard import Guard
from breakerd.model import (
    IGNORED,
    SUCCESS,
    ClientState,
    Denial,
    Level,
    Mode,
    OnUnavailable,
    Outcome,
    Reason,
    Standing,
    State,
    Status,
    Transition,
    Verdict,
    failure,
)
from breakerd.registry import Existing, Health, Registry
from breakerd.settings import Settings, Tls

__all__ = [
    "IGNORED",
    "SUCCESS",
    "AddressError",
    "AdminError",
    "Breaker",
    "BreakerConfig",
    "BreakerError",
    "BreakerOpenError",
    "Call",
    "CallTimeout",
    "Client",
    "ClientState",
    "Denial",
    "Existing",
    "Guard",
    "Health",
    "InvalidNameError",
    "Level",
    "Mode",
    "OnUnavailable",
    "Outcome",
    "Reason",
    "Registry",
    "Settings",
    "Standing",
    "State",
    "Status",
    "Tls",
    "Transition",
    "Verdict",
    "breaker",
    "client",
    "configure",
    "failure",
]
