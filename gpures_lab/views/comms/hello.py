"""The first frame on each comm: who speaks, and what it understands."""

from __future__ import annotations

import uuid
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from gpures_lab.grain import Grain, open_manager
from gpures_lab.views.comms.protocol import PROTOCOL, Frame

__all__ = ["COMMANDS", "INCARNATION", "commands", "hello"]

INCARNATION: Final = uuid.uuid4().hex
"""Another one on the same kernel id means that the kernel was restarted in between."""

COMMANDS: Final = ("park", "checkpoint", "deactivate", "release")


def commands() -> list[str]:
    """Return the commands that this version can carry out."""
    lacking = {
        name for name in ("checkpoint", "deactivate") if not callable(getattr(Grain, name, None))
    }
    return [name for name in COMMANDS if name not in lacking]


def hello(*, subshell: bool) -> Frame:
    """Return the frame; ``subshell``: whether this comm is served while a cell runs."""
    lab = open_manager()
    return {
        "kind": "hello",
        "protocol": list(PROTOCOL),
        "gpures_lab": _version("gpures_lab"),
        "bokeh": _version("bokeh"),
        "ipykernel": _version("ipykernel"),
        "driver": None if lab is None else lab.driver.label,
        "device": None if lab is None else lab.driver.device_name,
        "incarnation": INCARNATION,
        "subshell": subshell,
        "commands": commands(),
    }


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
