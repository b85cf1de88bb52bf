"""Commands of the front end: acknowledged at once, carried out behind the handler's back."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gpures_lab.errors import InvalidOption
from gpures_lab.grain import open_manager
from gpures_lab.metrics.units import plural
from gpures_lab.views.comms.protocol import clipped

__all__ = ["AT_ONCE", "Command", "Commands", "Outcome", "carry_out"]

AT_ONCE: Final = 8
"""Commands under way at most: a thread each, so that none waits behind a grain that is held."""

REMEMBERED: Final = 256
SHOWN: Final = 4
SHOWN_S: Final = 10.0
TEXT_BYTES: Final = 300
RELEASE_LIMIT_S: Final = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One wish; ``id`` makes it idempotent."""

    id: str
    what: str
    grain: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a command ended, and when."""

    id: str
    what: str
    ok: bool
    text: str
    at_s: float

    def to_json(self) -> dict[str, object]:
        """Return what telemetry carries."""
        return {"id": self.id, "what": self.what, "ok": self.ok, "text": self.text}


class Commands:
    """Carries commands out, and remembers how they ended.

    Parameters
    ----------
    ended
        Called after each command, from its thread.
    """

    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended
        self._lock = threading.Lock()  # guards what follows
        self._seen: OrderedDict[str, Outcome | None] = OrderedDict()
        self._under_way = 0

    def admit(self, command: Command) -> bool:
        """Take a command, for `begin`; False if its id was taken before, and nothing is to do.

        Raises
        ------
        InvalidOption
            `AT_ONCE` commands are under way.
        """
        with self._lock:
            if command.id in self._seen:
                return False
            if self._under_way >= AT_ONCE:
                raise InvalidOption(
                    f"{AT_ONCE} commands are still under way; wait for one of them",
                    under_way=self._under_way,
                )
            self._under_way += 1
            self._seen[command.id] = None
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return True

    def begin(self, command: Command) -> None:
        """Carry out what `admit` took. Apart from it, for a thread's start waits for the thread.

        Beside a busy cell that is a wait for the interpreter, which an acknowledgement is spared.
        """
        threading.Thread(
            target=self._run, args=(command,), name="gpures_lab command", daemon=True
        ).start()

    def recent(self) -> list[Outcome]:
        """Return the last outcomes that a front end may not have seen yet, oldest first."""
        now = time.monotonic()
        with self._lock:
            ended = [each for each in self._seen.values() if each and now - each.at_s < SHOWN_S]
        return sorted(ended, key=lambda each: each.at_s)[-SHOWN:]

    def _run(self, command: Command) -> None:
        try:
            ok, text = True, carry_out(command)
        except Exception as error:  # noqa: BLE001 - told to the front end that asked
            ok, text = False, f"{type(error).__name__}: {error}"
        outcome = Outcome(
            id=command.id,
            what=command.what,
            ok=ok,
            text=clipped(text, TEXT_BYTES),
            at_s=time.monotonic(),
        )
        with self._lock:
            self._under_way -= 1
            self._seen[command.id] = outcome
        self._ended()


def carry_out(command: Command) -> str:
    """Do what ``command`` says and return one line about it.

    Raises
    ------
    GpuResError, TimeoutError
        What the call raised; `InvalidOption` for an unknown grain or no open manager.
    """
    lab = open_manager()
    if lab is None:
        raise InvalidOption("no manager is open in this kernel; run a cell that uses a grain")
    if command.what == "park":
        lab.park()
        return "parked"
    grain = lab.grains.get(command.grain or "")
    if grain is None:
        raise InvalidOption(
            f"grain {command.grain!r} is not in this manager; it may be an earlier one's",
            key=command.grain,
        )
    if command.what == "release":
        count = len(grain.handles)
        grain.discard()
        grain.barrier().result(RELEASE_LIMIT_S)  # it may be borrowed, or behind a long kernel
        return f"{plural(count, 'allocation')} released"
    # The control comm lets through what hello lists, and hello only what the class has.
    value: object = getattr(grain, command.what)().result()
    return f"checkpoint {value}" if command.what == "checkpoint" else "deactivated"
