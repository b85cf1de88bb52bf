"""What close and exit save, and what they say ends there."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

from gpures_lab.errors import GpuResError, StateConflict
from gpures_lab.grain.checkpoint import contents_of, keep

if TYPE_CHECKING:
    from gpures_lab.grain.directory import GrainManager

__all__ = ["keep_durable"]

logger = logging.getLogger("gpures_lab")


def keep_durable(owner: GrainManager) -> None:
    """Save the durable grains that have changed; messages are refused already, and have ended."""
    ending = []
    for grain in owner.grains.values():
        if owner._residency.is_stored(grain) or not (grain._live() or grain.durable):
            continue
        if not grain.durable:
            ending.append(grain.key)
        elif grain._changed():
            try:
                if grain._is_asleep():
                    raise StateConflict("the store had refused it when it was deactivated")
                keep(grain, contents_of(grain))
            except GpuResError as error:
                warnings.warn(
                    f"durable grain {grain.key!r} was not saved: {error}",
                    RuntimeWarning,
                    stacklevel=4,
                )
    if ending:
        # Loud only to those who keep something.
        logger.log(
            logging.WARNING if owner._saver.used else logging.INFO,
            "%d grains end here with what they hold: %s; checkpoint() keeps one",
            len(ending),
            ", ".join(map(repr, ending[:5])) + (", …" if len(ending) > 5 else ""),
        )
