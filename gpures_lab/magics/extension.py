"""What ``%load_ext gpures_lab`` adds to a shell, and unloading takes away again."""

from __future__ import annotations

from typing import Any

from gpures_lab.magics.comms import offer_comms, withdraw_comms
from gpures_lab.magics.completion import IDENTIFIER, matcher
from gpures_lab.magics.compute import ComputeMagics
from gpures_lab.magics.display import show_handles, unshow_handles
from gpures_lab.magics.keeping import KeepingMagics
from gpures_lab.magics.looking import LookingMagics
from gpures_lab.magics.memory import GrainMagics
from gpures_lab.magics.programs import ProgramMagics
from gpures_lab.magics.unseen import say_unseen

__all__ = ["load", "unload"]

_Ours = GrainMagics | KeepingMagics | LookingMagics | ComputeMagics | ProgramMagics


def load(shell: Any) -> None:
    """Register magics, displays and comm targets. Starts no manager."""
    offer_comms(shell)
    if _loaded(shell):
        return
    # Its constructor adds it to what %config lists.
    lines = GrainMagics(shell)
    shell.register_magics(
        lines,
        KeepingMagics(shell, lines),
        LookingMagics(shell, lines),
        ComputeMagics(shell, lines),
        ProgramMagics(shell, lines),
    )
    shell.Completer.custom_matchers.append(matcher(lines))
    shell.events.register("post_run_cell", say_unseen)
    show_handles(shell)


def unload(shell: Any) -> None:
    """Leave the shell as it was; grains and handles live on."""
    withdraw_comms(shell)
    for magics in _loaded(shell):
        if isinstance(magics, GrainMagics | LookingMagics):
            magics.close()
        shell.configurables.remove(magics)
        for kind, names in magics.magics.items():
            for name in names:
                shell.magics_manager.magics[kind].pop(name, None)
        shell.magics_manager.registry.pop(type(magics).__name__, None)
    shell.Completer.custom_matchers[:] = [
        each
        for each in shell.Completer.custom_matchers
        if getattr(each, "matcher_identifier", None) != IDENTIFIER
    ]
    if say_unseen in shell.events.callbacks["post_run_cell"]:
        shell.events.unregister("post_run_cell", say_unseen)
    unshow_handles(shell)


def _loaded(shell: Any) -> list[_Ours]:
    return [each for each in shell.configurables if isinstance(each, _Ours)]
