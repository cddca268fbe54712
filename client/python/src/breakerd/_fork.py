"""What forks and the end of the process ask of the clients that are at work.

gRPC does not survive a fork while anything of it is alive: locks that its threads hold are held
for ever in the new process. So the clients let go of it before a fork, which takes some
milliseconds, and begin again after it.
"""

from __future__ import annotations

import atexit
import gc
import logging
import os
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import Protocol

from breakerd import _grpc

FLUSH_AT_EXIT = 5.0
"""How long the end of the process may wait for outcomes to be reported, in seconds."""
SETTLE_WITHIN = 2.0
"""How long gRPC may take to end its threads before a fork, in seconds."""
SETTLE_AT_EXIT_WITHIN = 0.5
"""How long it may take at the end of the process, where nothing but tidiness depends on it."""
SETTLE_AGAIN_WITHIN = 0.05
"""The same once it has not ended in time, because the application uses it, too."""
TASKS = Path("/proc/self/task")
GRPC_THREADS = ("grpc", "event_engine", "lifeguard")

logger = logging.getLogger("breakerd")


class Forkable(Protocol):
    """What is paused before a fork."""

    def pause(self) -> bool: ...

    def resume(self) -> None: ...

    def begin_anew(self) -> None: ...

    def shutdown(self, timeout: float) -> bool: ...


_all: weakref.WeakSet[Forkable] = weakref.WeakSet()
_lock = threading.RLock()
_is_shared = False
_finalized: weakref.WeakSet[Forkable] = weakref.WeakSet()


def register(client: Forkable) -> None:
    """Includes a client in all forks from now on."""
    _all.add(client)


def flush_at_exit(client: Forkable) -> None:
    """Lets a client that has begun its work report at the end of this process."""
    if client in _finalized:
        return
    _finalized.add(client)
    # A process of multiprocessing ends without the hooks of atexit, but with its own.
    util = sys.modules.get("multiprocessing.util")
    process = sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, _flush_all, exitpriority=10)


def _flush_all() -> None:
    deadline = time.monotonic() + FLUSH_AT_EXIT
    clients = list(_all)
    for client in clients:
        try:
            client.shutdown(max(0.0, deadline - time.monotonic()))
        except Exception:
            logger.exception("a client could not be shut down")
    if any(client in _finalized for client in clients):
        # No thread of gRPC is to be taken by surprise by the end of the interpreter.
        _let_grpc_end(SETTLE_AT_EXIT_WITHIN)


def _before_fork() -> None:
    _lock.acquire()
    was_at_work = False
    for client in list(_all):
        try:
            was_at_work |= client.pause()
        except Exception:
            logger.exception("a client could not be paused for a fork")
    if was_at_work:
        _let_grpc_end(SETTLE_WITHIN)


def _after_in_parent() -> None:
    for client in list(_all):
        try:
            client.resume()
        except Exception:
            logger.exception("a client could not go on after a fork")
    _lock.release()


def _after_in_child() -> None:
    global _lock
    _lock = threading.RLock()
    for client in list(_all):
        try:
            client.begin_anew()
        except Exception:
            logger.exception("a client could not begin anew after a fork")
        _finalized.discard(client)


def _let_grpc_end(within: float) -> None:
    """Waits for the threads of gRPC, which end once nothing of it is referred to any more.

    That takes milliseconds, and longer while other threads keep the interpreter busy. An
    application that uses gRPC itself keeps them alive; that is its own affair.
    """
    global _is_shared
    if not TASKS.is_dir():
        time.sleep(0.02)
        return
    if _is_shared:
        within = SETTLE_AGAIN_WITHIN
    began = time.monotonic()
    collected = False
    while _has_grpc_threads():
        waited = time.monotonic() - began
        if waited > within:
            _is_shared = True
            logger.debug("gRPC is still in use")
            return
        if waited > within / 4 and not collected:
            gc.collect()
            collected = True
        time.sleep(0.001)
    _is_shared = False


def _has_grpc_threads() -> bool:
    for task in TASKS.iterdir():
        try:
            name = (task / "comm").read_text()
        except OSError:
            continue
        if name.startswith(GRPC_THREADS):
            return True
    return False


atexit.register(_flush_all)
assert _grpc, "its hooks have to be registered before these"
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child
    )
