"""A manager's message trace: the engine's rows, and the words for their numbers."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from gpures_lab._core import _native
from gpures_lab.metrics.trace import Recorder, TraceWords
from gpures_lab.ring.wire import Opcode, Status, word_of

if TYPE_CHECKING:
    from gpures_lab.grain.directory import GrainManager

__all__ = ["recorder_of"]

_OPERATIONS = {int(each): word_of(each) for each in Opcode}
_STATUSES = {int(each): each.name.lower().replace("_", " ") for each in Status}


class _EngineTrace:
    """What a `Recorder` is handed."""

    def __init__(self, lab: GrainManager) -> None:
        engine = lab._engine
        self._lab = weakref.ref(lab)  # a manager that nobody holds ends without the collector
        self._grains: dict[int, str] = {}  # of grains that are gone, too
        self.keep_trace = engine.keep_trace
        self.read_trace = engine.read_trace

    def words(self) -> TraceWords:
        lab = self._lab()
        if lab is not None:
            for key, grain in lab.grains.items():
                self._grains[grain._counts()["index"]] = key
            for ring, store in dict(lab._stores).items():
                self._grains[store._counts()["index"]] = f"programs of ring {ring}"
        return TraceWords(dict(self._grains), _native.kernel_names(), _OPERATIONS, _STATUSES)


def recorder_of(lab: GrainManager) -> Recorder:
    """Return a recorder over a manager's engine."""
    return Recorder(_EngineTrace(lab), lab.driver.label)
