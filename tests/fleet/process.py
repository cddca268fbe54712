"""Processes that the run starts, and ends."""

import pathlib
import re
import subprocess
import threading
from collections.abc import Callable

from report import Broken

# How long a process may take to end by itself, and to say where it listens, in seconds.
END_WITHIN = 5.0
START_WITHIN = 20.0

# How many of its last lines are kept of a process, for when it dies.
LAST_LINES = 20


class Process:
    """A process whose lines are read as they come. It ends when its standard input does, or is
    made to."""

    def __init__(
        self, name: str, command: list[str], on_line: Callable[[str], None] | None = None
    ) -> None:
        self.name = name
        self.lines: list[str] = []
        self._on_line = on_line
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout:
            if self._on_line is not None and line.startswith("{"):
                self._on_line(line)
                continue
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                del self.lines[:-LAST_LINES]
                self._changed.notify_all()

    def wait_for_line(self, pattern: str) -> str:
        """Waits until the process says this, and returns the first group of it."""

        def found() -> re.Match | None:
            return next((m for line in self.lines if (m := re.search(pattern, line))), None)

        with self._changed:
            self._changed.wait_for(found, START_WITHIN)
            match = found()
        if match is None:
            said = "\n".join(self.lines)
            raise Broken(f"{self.name} did not say `{pattern}` in {START_WITHIN:.0f} s:\n{said}")
        return match.group(1)

    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """Ends it as kill -9 does, and waits until it is gone."""
        self._process.kill()
        self._finish()

    def end(self) -> None:
        """Asks it to end, and makes it."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.terminate()
        try:
            self._process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._finish()

    def _finish(self) -> None:
        self._process.wait()
        self._reader.join()
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        self._process.stdout.close()


def run(command: list[str]) -> str:
    """Runs a command to its end and returns what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=START_WITHIN, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()
        raise Broken(f"`{pathlib.Path(command[0]).name} {' '.join(command[1:])}` failed: {said}")
    return done.stdout
