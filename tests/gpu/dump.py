"""The state of every live engine as text: control words, rings, slots, completions.

For reports of what went wrong on a machine that nobody can look at afterwards. Only host memory is
read, and no CUDA call is made: this must work while a launch hangs. Offsets are those of
_core/shared/layout.hpp and _core/host/memory_plan.cpp; tests/double/test_dump.py holds them.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from tempfile import TemporaryFile
from typing import Any

__all__ = ["after", "before_closing", "engines", "stacks"]

PAGE = 4096
WORD = 64  # a control word has its own cache line
RING_VIEW = 56
CONTROL = ("park_epoch", "stop", "cancels", "started_epoch", "exited_epoch")
RING = {"done": 0, "current": 1, "beat": 2, "progress": 3, "wake": 4, "cancel_count": 5}
OPCODES = ("-", "Noop", "Barrier", "Allocate", "Release", "Write", "Read", "Compute", "RunProgram")
NEWEST = 8  # slots told of each ring


def engines() -> str:
    """One paragraph for each manager that is not closed."""
    from gpures_lab.grain.directory import GrainManager

    try:
        managers = [each for each in gc.get_objects() if type(each) is GrainManager]
        open_ones = [each for each in managers if not each.closed]
        return "\n".join(_told(each) for each in open_ones) or "no open manager"
    except Exception as error:  # noqa: BLE001 - a report about an error must not be another one
        return f"the engines cannot be told: {type(error).__name__}: {error}"


def before_closing(tell: Callable[[str], object]) -> None:
    """From now on a manager whose with block ends with an error is told of before it is closed."""
    from gpures_lab.grain.directory import GrainManager

    leave = GrainManager.__exit__

    def told(self: GrainManager, *reason: object) -> None:
        if reason[0] is not None:
            tell(f"{engines()}\n")
        leave(self, *reason)

    GrainManager.__exit__ = told  # type: ignore[method-assign]


def stacks() -> str:
    """Where all threads are."""
    import faulthandler

    with TemporaryFile() as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        return file.read().decode(errors="replace")


def after(seconds: float, code: int, tell: Callable[[str], None]) -> threading.Timer:
    """Unless cancelled: tell everything, and end this process."""

    def end() -> None:
        try:
            tell(f"nothing came within {seconds:.0f} s\n{engines()}\n{stacks()}")
        finally:
            sys.stdout.flush()
            os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return timer


def _told(lab: Any) -> str:
    engine = lab._engine
    counts = {name: value for name, value in engine.snapshot().items() if isinstance(value, int)}
    lines = [f"{lab!r}, device error {engine.device_error or 'none'!r}"]
    lines.append("  " + ", ".join(f"{name} {value}" for name, value in counts.items() if value))
    memory = None if lab._device is None else lab._device._memory
    # The shared region is the first that an engine asks for.
    if memory is None or not memory._pinned:
        return "\n".join([*lines, "  it has no memory yet: it was never started"])
    shared = memory._pinned[0]
    words = (f"{name} {_u64(shared + n * WORD)}" for n, name in enumerate(CONTROL))
    lines.append("  " + ", ".join(words))
    lines += _rings(shared)
    return "\n".join(lines)


def _rings(shared: int) -> Iterator[str]:
    for ring in range(PAGE // RING_VIEW):
        at = shared + PAGE + ring * RING_VIEW
        slots, completions, control = _u64(at), _u64(at + 16), _u64(at + 24)
        count = _u64(at + 40)
        if not slots:
            return
        posted = max(_u64(slots + n * 64) for n in range(count))
        answered = max(_u64(completions + n * 32) for n in range(count))
        words = ", ".join(f"{name} {_u64(control + n * WORD)}" for name, n in RING.items())
        if posted == 0 and ring > 0:
            continue
        yield f"  ring {ring}: posted {posted}, newest completion {answered}, {words}"
        for position in range(max(0, posted - NEWEST), posted):
            slot = slots + position % count * 64
            opcode = _u64(slot + 16) >> 32 & 0xFFFF
            name = OPCODES[opcode] if opcode < len(OPCODES) else str(opcode)
            done = completions + position % count * 32
            status = _u64(done + 8) & 0xFFFF if _u64(done) == position + 1 else "unanswered"
            yield f"    position {position}: sequence {_u64(slot)}, {name}, status {status}"


def _u64(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value
