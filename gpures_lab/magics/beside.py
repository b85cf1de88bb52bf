"""Magics whose current grain, and whose configuration, are those of the line magics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics

if TYPE_CHECKING:
    from gpures_lab.magics.memory import GrainMagics

__all__ = ["MagicsBeside"]


class MagicsBeside(Magics):
    """What every further class of magics has; ``lines`` are the configured ones of its shell."""

    def __init__(self, shell: Any, lines: GrainMagics) -> None:
        super().__init__(shell)
        self._lines = lines

    @property
    def short_errors(self) -> bool:
        """As configured for all magics."""
        return bool(self._lines.short_errors)
