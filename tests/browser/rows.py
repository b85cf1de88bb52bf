"""How a row of `tests.browser.measure` is printed."""

from __future__ import annotations

import sys

__all__ = ["say"]


def say(what: str, measured: str, wanted: str, kept: bool) -> None:
    """Print one row at once: the next one takes a while."""
    sys.stdout.write(f"{what}: {measured} (wanted: {wanted}) {'kept' if kept else 'NOT KEPT'}\n")
    sys.stdout.flush()
