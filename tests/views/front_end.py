"""A front end for the tests of both comms, and the targets it opens them on."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

import gpures_lab as gl
from gpures_lab.views.comms import commands, sampling, targets
from gpures_lab.views.comms.targets import Targets
from tests.views.comms import FakeComm, message

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FrontEnd", "ours"]


class FrontEnd:
    """One front end with both comms open."""

    def __init__(self, ours: Targets, client: str = "one") -> None:
        self.telemetry, self.control = FakeComm(), FakeComm()
        self._numbers = 0
        self.client = client
        ours.open_telemetry(self.telemetry, message(client=client))
        ours.open_control(self.control, message(client=client))

    def ask(self, **data: Any) -> dict[str, Any]:
        """Send on control; the answer is there when the handler returns."""
        self._numbers += 1
        before = len(self.control.sent)
        self.control.heard(message(**{"id": f"r{self._numbers}", **data}))
        return self.control.sent[before]

    def query(self, what: str, **data: Any) -> Any:
        self.control.buffers.clear()
        answer = self.ask(op="query", what=what, **data)
        assert answer["kind"] == "chunk", answer
        return json.loads(b"".join(self.control.buffers))


def _in_a_loop() -> bool:
    """Leases run out in a loop; most tests here have none."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@pytest.fixture
def ours(lab: gl.GrainManager, monkeypatch: pytest.MonkeyPatch) -> Iterator[Targets]:
    """Targets of a kernel whose only manager is ``lab``."""
    for module in (sampling, commands):
        monkeypatch.setattr(module, "open_manager", lambda: None if lab.closed else lab)
    later = targets._later
    monkeypatch.setattr(targets, "_later", lambda *call: _in_a_loop() and later(*call))
    made = Targets()
    yield made
    made.close()
