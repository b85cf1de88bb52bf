"""A named program as a checkpoint keeps it, and recorded again from that.

Kernels are kept by name, handles by grain and name, scalars with their type: what is recorded again
equals what the user recorded, whatever numbers the ring gives it this time.
"""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from gpures_lab.errors import StateConflict, UnknownKernel
from gpures_lab.kernels.library import library
from gpures_lab.ring.wire import Opcode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gpures_lab._core._native import ResidentArray
    from gpures_lab.grain.grain import Grain
    from gpures_lab.grain.program import Program
    from gpures_lab.grain.store.manifest import Json
    from gpures_lab.ring.program_image import RecordedStep

__all__ = ["described", "recorded_again"]

# _core/shared/layout.hpp: Slot, ComputeMessage, TransferMessage.
_OPCODE = struct.Struct("<20xH")
_COMPUTE = struct.Struct("<24xI4BQ3Q")
_TRANSFER = struct.Struct("<24x3Q2IQ")
_FILL = 2


def described(program: Program) -> Json:
    """Return the steps as JSON."""
    return [_described(step) for step in program._steps]


def _described(step: RecordedStep) -> Json:
    opcode = Opcode(_OPCODE.unpack_from(step.slot)[0])
    names: list[Json] = [[handle.grain.key, handle.name] for handle in step.handles]  # type: ignore[attr-defined]
    if opcode is Opcode.COMPUTE:
        _, _, _, indices, in_page, n, *inline = _COMPUTE.unpack_from(step.slot)
        words = struct.unpack_from(f"<{indices - 1}Q", step.page) if in_page else inline
        return {
            "op": "compute",
            "kernel": step.kernel,
            "inputs": names[: step.inputs],
            "outputs": names[step.inputs :],
            "space": [n, *words[: indices - 1]],
            "params": {name: _scalar(value) for name, _, _, value in step.params},
        }
    if opcode is Opcode.WRITE:
        _, offset, nbytes, place, _, element = _TRANSFER.unpack_from(step.slot)
        data = step.page[: element if place == _FILL else nbytes]
        return {
            "op": "write",
            "handle": names[0],
            "offset": None if place == _FILL else offset,
            "data": base64.b64encode(data).decode(),
        }
    return {"op": "ping" if opcode is Opcode.NOOP else "barrier"}


def _scalar(value: Any) -> Json:
    if isinstance(value, np.generic):
        return [value.dtype.name, base64.b64encode(value.tobytes()).decode()]
    if isinstance(value, complex):
        return ["complex", value.real, value.imag]
    return ["", value]


def _value(scalar: Any) -> Any:
    kind, *rest = scalar
    if kind == "":
        return rest[0]
    if kind == "complex":
        return complex(*rest)
    return np.frombuffer(base64.b64decode(rest[0]), kind)[0]


def recorded_again(grain: Grain, name: str, text: Any, kernels: Iterable[Any]) -> Program:
    """Record a program from its description; ``kernels`` are those that no library has."""
    given = {kernel.name: kernel for kernel in kernels}
    names = library.fill()
    missing = {
        step["kernel"]
        for step in text
        if step["op"] == "compute" and step["kernel"] not in given and step["kernel"] not in names
    }
    if missing:
        raise UnknownKernel(
            f"program {name!r} of grain {grain.key!r} uses {', '.join(sorted(missing))}, which a "
            "checkpoint keeps by name only; define them again and pass them: "
            f"grain.program({name!r}, {', '.join(sorted(missing))})"
        )
    with grain.record(name=name) as program:
        for step in text:
            _record(grain, step, given)
    return program


def _record(grain: Grain, step: Any, given: dict[str, Any]) -> None:
    if step["op"] == "compute":
        space = step["space"]
        first = (step["inputs"] or step["outputs"])[0]
        _grain_of(grain, first).compute(
            given.get(step["kernel"], step["kernel"]),
            inputs=[_handle(grain, each) for each in step["inputs"]],
            outputs=[_handle(grain, each) for each in step["outputs"]],
            params={name: _value(scalar) for name, scalar in step["params"].items()} or None,
            n=space[0] if len(space) == 1 else None,
            shape=space if len(space) > 1 else None,
        )
    elif step["op"] == "write":
        handle = _handle(grain, step["handle"])
        data = np.frombuffer(base64.b64decode(step["data"]), handle.dtype)
        if step["offset"] is None:
            handle.write(data[0])
        else:
            handle.write(data, offset=step["offset"] // handle.dtype.itemsize)
    elif step["op"] == "ping":
        grain.ping()
    else:
        grain.barrier()


def _grain_of(grain: Grain, place: Any) -> Grain:
    found: Grain = grain if place[0] == grain.key else grain._owner().grain(place[0])
    return found


def _handle(grain: Grain, place: Any) -> ResidentArray:
    handle = _grain_of(grain, place).handles.get(place[1])
    if handle is None:
        raise StateConflict(
            f"the program uses {place[1]!r} of grain {place[0]!r}, which is not there; restore "
            "that grain first, or record the program anew",
            grain=place[0],
            name=place[1],
        )
    return handle
