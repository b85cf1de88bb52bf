"""The control comm: its handler answers queries, acknowledges commands, and alone sends on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from gpures_lab.errors import GpuResError, InvalidOption
from gpures_lab.views.comms.commands import Command
from gpures_lab.views.comms.hello import commands
from gpures_lab.views.comms.protocol import CHUNK_BYTES, RATES_HZ, Frame, clipped, encoded
from gpures_lab.views.comms.queries import answer

if TYPE_CHECKING:
    from gpures_lab.views.comms.telemetry import Telemetry

__all__ = ["Control", "chunks"]

ID_LENGTH: Final = 64
OPERATIONS: Final = ("query", "command", "configure", "alive")
ERROR_BYTES: Final = 1_000


class Control:
    """One front end's control comm. Each message gets exactly one kind of answer, at once."""

    def __init__(self, client: str, comm: Any, telemetry: Telemetry) -> None:
        self.client = client
        self._comm = comm
        self._telemetry = telemetry
        self.refused = 0

    def handle(self, message: Mapping[str, Any]) -> None:
        """Answer one message; never raises, because ipykernel would only log it."""
        data = message.get("content", {}).get("data")
        found = data if isinstance(data, Mapping) else {}
        request = found.get("id")
        if not isinstance(request, str) or not 0 < len(request) <= ID_LENGTH:
            self._refuse(None, f"no id: give a text of 1 to {ID_LENGTH} characters")
            return
        try:
            self._serve(request, found)
        except (GpuResError, ModuleNotFoundError) as error:
            self._refuse(request, f"{type(error).__name__}: {error}")
        except Exception as error:  # noqa: BLE001 - a front end that waits must be told
            self._refuse(request, f"the kernel failed: {type(error).__name__}: {error}")

    def _serve(self, request: str, data: Mapping[str, object]) -> None:
        match data.get("op"):
            case "query":
                found = answer(self._telemetry.sampling, str(data.get("what")), data)
                for frame, buffer in chunks(request, encoded(found)):
                    self._comm.send(frame, buffers=[buffer])
            case "command":
                command = _command(request, data)
                new = self._telemetry.commands.admit(command)
                self._comm.send({"kind": "ack", "id": request, "new": new})
                if new:
                    self._telemetry.commands.begin(command)
            case "configure":
                self._telemetry.configure(
                    self.client,
                    rate_hz=_number(data, "rate_hz", *RATES_HZ),
                    window_s=_number(data, "window_s", 0.1, 300.0),
                )
                self._comm.send({"kind": "ack", "id": request, "new": True})
            case "alive":
                self._comm.send({"kind": "ack", "id": request, "new": True})
            case other:
                raise InvalidOption(f"op={other!r} is unknown; use one of {', '.join(OPERATIONS)}")

    def _refuse(self, request: str | None, text: str) -> None:
        self.refused += 1
        self._comm.send({"kind": "error", "id": request, "text": clipped(text, ERROR_BYTES)})


def _command(request: str, data: Mapping[str, object]) -> Command:
    what, grain = data.get("what"), data.get("grain")
    known = commands()
    if not isinstance(what, str) or what not in known:
        raise InvalidOption(f"command {what!r} is unknown; use one of {', '.join(known)}")
    if grain is not None and not isinstance(grain, str):
        raise InvalidOption(f"grain={grain!r} is no key; give a text")
    return Command(id=request, what=what, grain=grain)


def chunks(request: str, payload: bytes) -> Iterator[tuple[Frame, bytes]]:
    """Cut an answer into frames below 64 KiB; the bytes travel as buffers, not as text in JSON."""
    parts = max(1, -(-len(payload) // CHUNK_BYTES))
    for part in range(parts):
        frame: Frame = {"kind": "chunk", "id": request, "part": part, "parts": parts}
        yield frame, payload[part * CHUNK_BYTES : (part + 1) * CHUNK_BYTES]


def _number(data: Mapping[str, object], name: str, least: float, most: float) -> float | None:
    value = data.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidOption(f"{name}={value!r} is out of range; give {least:g} to {most:g}")
    return float(value)
