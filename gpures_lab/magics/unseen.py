"""The end of a cell: what failed in it, or since, and nobody looked at."""

from __future__ import annotations

import sys

__all__ = ["say_unseen"]


def say_unseen(result: object = None) -> None:  # noqa: ARG001 - what IPython calls it with
    """Print one line for every manager that has any; starts none."""
    # Asked for now: a shell that loads the extension need not have used a grain yet.
    own = sys.modules.get("gpures_lab.grain.own")
    if own is None:
        return
    from gpures_lab.grain.unseen import unseen_text

    for lab in own.open_managers():
        text = unseen_text(lab)
        if text:
            print(text, file=sys.stderr)  # noqa: T201 - its place is the cell
