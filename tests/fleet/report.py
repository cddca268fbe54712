"""What the run says."""


class Broken(Exception):
    """A proof cannot go on."""


class Proof:
    """One proof: what was counted, and whether it is as it must be."""

    def __init__(self, number: int, title: str) -> None:
        self.holds = True
        print(f"\n{number}. {title}", flush=True)

    def note(self, text: str) -> None:
        """Tells a count."""
        print(f"   {text}", flush=True)

    def check(self, holds: bool, text: str) -> None:
        """Tells what must hold, and whether it does."""
        self.holds = self.holds and holds
        print(f"   {'ok  ' if holds else 'FAIL'} {text}", flush=True)


def listed(values: dict[str, object]) -> str:
    """Values by replica, on one line."""
    return "  ".join(f"{name}: {value}" for name, value in values.items())
