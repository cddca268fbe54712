"""gRPC, imported in such a way that subprocesses begin safely.

gRPC has handlers of forks that run in every process that is forked, also where it is about to
become another program, and that abort it now and then before it does. Before Python 3.10
`subprocess` forks like that for every program, so that gRPC is imported without these handlers
there, unless the application has said what it wants. Clients do not need them: they let go of gRPC
before a fork (see ``_fork``).

gRPC reads the variable when it is first imported, and children are not to inherit it.
"""

import os
import sys

FORK_SUPPORT = "GRPC_ENABLE_FORK_SUPPORT"

_is_ours = sys.version_info < (3, 10) and FORK_SUPPORT not in os.environ
if _is_ours:
    os.environ[FORK_SUPPORT] = "0"
try:
    import grpc
finally:
    if _is_ours:
        del os.environ[FORK_SUPPORT]

if FORK_SUPPORT in os.environ:
    # With its first channel gRPC registers hooks of forks, which halt its threads. Those that are
    # registered last run first, and ours wait for these threads: theirs have to be there before.
    grpc.insecure_channel("127.0.0.1:1").close()

__all__ = ["grpc"]
