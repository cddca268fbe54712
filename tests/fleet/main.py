"""Starts the fleet, runs the proofs one after another and says how many hold."""

import argparse
import pathlib
import signal
import sys
import tempfile
import time

from fleet import Fleet
from proofs import PROOFS
from report import Broken, Proof


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    # Both end the run as an exception, so that everything that was started is ended. A shell may
    # have started this with SIGINT ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="breakerd-fleet-") as folder:
            with Fleet(arguments.binaries, pathlib.Path(folder)) as fleet:
                held = prove_all(fleet)
    except KeyboardInterrupt:
        print("fleet: interrupted; everything was ended", flush=True)
        return 130
    except Broken as broken:
        print(f"fleet: did not start: {broken}", flush=True)
        return 1
    print(f"\ntook {time.monotonic() - began:.0f} s")
    print(f"fleet: {held} of {len(PROOFS)} proofs hold", flush=True)
    return 0 if held == len(PROOFS) else 1


def prove_all(fleet: Fleet) -> int:
    """Runs the proofs. Each begins where the one before it ended, so after one that could not be
    finished the others are not tried."""
    held = 0
    for number, (title, prove) in enumerate(PROOFS, start=1):
        proof = Proof(number, title)
        try:
            prove(fleet, proof)
        except Broken as broken:
            proof.check(False, str(broken))
            fleet.tell_last_words()
            break
        held += proof.holds
    return held


if __name__ == "__main__":
    sys.exit(main())
