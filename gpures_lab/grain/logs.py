"""The logger ``gpures_lab``: its level, and somebody who shows what it says."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

from gpures_lab import environment

__all__ = ["follow_environment"]


class _Shown(logging.StreamHandler[TextIO]):
    """Writes to what is stderr by then, unless the application has handlers of its own by then."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        if not logging.getLogger().handlers:
            self.stream = sys.stderr
            super().emit(record)


def follow_environment() -> None:
    """Set the level that ``GPURES_LOG`` asks for; shown on stderr where nobody else would."""
    logger = logging.getLogger("gpures_lab")
    logger.setLevel(environment.log_level())
    if environment.log_is_asked_for() and not logger.handlers:
        logger.addHandler(_Shown())
