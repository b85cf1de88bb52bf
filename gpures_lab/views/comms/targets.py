"""What happens when a front end opens one of the two comms, and how long it is remembered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from gpures_lab.views.comms.control import Control
from gpures_lab.views.comms.hello import hello
from gpures_lab.views.comms.sampling import Sampling
from gpures_lab.views.comms.telemetry import Telemetry

__all__ = ["LEASE_S", "Targets"]

LEASE_S: Final = 60.0
"""A front end says ``alive`` several times in it; one that was killed says nothing."""

GRACE_S: Final = 5.0
LONGEST_CLIENT: Final = 64
DEFAULT_WINDOW_S: Final = 5.0


class Targets:
    """The two comm targets of one kernel, with everything behind them."""

    def __init__(self) -> None:
        self.telemetry = Telemetry(Sampling(DEFAULT_WINDOW_S))
        self._heard_s: dict[str, float] = {}
        self._comms: dict[str, list[Any]] = {}

    def open_telemetry(self, comm: Any, message: Mapping[str, Any]) -> None:
        """Greet, then tell this front end what the sampler sees until it closes the comm."""
        client = _client(message)
        comm.send(hello(subshell=_in_subshell(message)))
        comm.on_close(lambda _: self._forget(client, comm))
        self._comms.setdefault(client, []).append(comm)
        self.telemetry.add(client, comm)

    def open_control(self, comm: Any, message: Mapping[str, Any]) -> None:
        """Greet, then answer what comes."""
        client = _client(message)
        control = Control(client, comm, self.telemetry)

        def heard(message: Mapping[str, Any]) -> None:
            self._heard_s[client] = time.monotonic()
            control.handle(message)

        comm.on_msg(heard)
        comm.on_close(lambda _: self._forget(client, comm))
        self._comms.setdefault(client, []).append(comm)
        comm.send(hello(subshell=_in_subshell(message)))
        self._heard_s[client] = time.monotonic()
        _later(LEASE_S, self._expire, client)

    def close(self) -> None:
        """Stop the thread and close every comm."""
        self.telemetry.close()
        for comms in self._comms.values():
            for comm in comms:
                comm.close()
        self._comms.clear()
        self._heard_s.clear()

    def _expire(self, client: str, *, last_look: bool = False) -> None:
        # Timers run in the loop that handles the comm, so that while a cell blocks it nobody is
        # judged; and twice, because what was sent meanwhile is handled after an overdue timer.
        heard_s = self._heard_s.get(client)
        if heard_s is None:
            return
        silent_s = time.monotonic() - heard_s
        if silent_s < LEASE_S:
            _later(LEASE_S - silent_s, self._expire, client)
        elif not last_look:
            _later(GRACE_S, lambda who: self._expire(who, last_look=True), client)
        else:
            for comm in list(self._comms.get(client, ())):
                comm.close()
                self._forget(client, comm)

    def _forget(self, client: str, comm: Any) -> None:
        # The package comm does not note that a front end closed one: it would say comm_close when
        # the object dies, to every page, each of which would log an error.
        comm._closed = True  # noqa: SLF001
        self.telemetry.remove(client, comm)
        comms = self._comms.get(client, [])
        if comm in comms:
            comms.remove(comm)
        if not comms:
            self._comms.pop(client, None)
            self._heard_s.pop(client, None)


def _later(seconds: float, call: Any, client: str) -> None:
    asyncio.get_running_loop().call_later(seconds, call, client)


def _client(message: Mapping[str, Any]) -> str:
    found = message.get("content", {}).get("data", {}).get("client")
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST_CLIENT:
        raise ValueError(f"client={found!r}: give a text of 1 to {LONGEST_CLIENT} characters")
    return found


def _in_subshell(message: Mapping[str, Any]) -> bool:
    return bool(message.get("header", {}).get("subshell_id"))
