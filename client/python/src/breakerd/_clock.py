"""The clock of the client: seconds that only ever grow. Everything else takes the time as given."""

from __future__ import annotations

import time

now = time.perf_counter
"""Seconds since some moment, with the finest resolution there is."""
