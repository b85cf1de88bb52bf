"""From a status, or a post that did not happen, to the one exception that says why.

Every function here returns the exception; the native binding raises it.
"""

from __future__ import annotations

import copy
import signal
from typing import TYPE_CHECKING, Any

from gpures_lab._core import _native
from gpures_lab.errors import (
    Cancelled,
    DeviceLost,
    GpuResError,
    InvalidOption,
    KernelFault,
    OutOfBounds,
    RingClosed,
    RingFull,
    RingStalled,
    StaleHandle,
    UnknownKernel,
)
from gpures_lab.ring.wire import Opcode, Status, word_of

if TYPE_CHECKING:
    from gpures_lab._core._native import Completion

_MISFIT = 2  # the fault of shared/library/call.hpp's has_extent()

# What a driver says of a launch that cannot be, which leaves the context as it was.
_LAUNCH_ERRORS = {
    1: "its configuration is invalid",
    2: "the device has no memory left for its stack; free some, or use a smaller kernel",
    701: "it needs more registers or shared memory than the device has; split it",
}

__all__ = [
    "again",
    "bad_flag",
    "bad_timeout",
    "borrowed",
    "closed",
    "failure",
    "failure_of",
    "interrupted",
    "interrupted_grain",
    "interrupted_parts",
    "no_ring",
    "not_at_rest",
    "quiesced",
    "refused",
    "ring_full",
    "timed_out",
]


def failure(completion: Completion[Any]) -> GpuResError:
    """Return the error of an answered request whose status is not OK."""
    return failure_of(completion.request, completion.grain.key, completion._state)


def failure_of(request: int, grain: str, state: dict[str, Any]) -> GpuResError:
    """Return the error of a request that was answered with this state."""
    status = Status(state["status"])
    what = f"request {request} ({word_of(state['opcode'])})"
    if state["opcode"] == Opcode.RUN_PROGRAM and any(state["fault"]):
        iteration, step = state["fault"][5:7]
        program = state["program"]
        at = f"step {step}" if program is None else program.step_text(step)
        what += f": iteration {iteration}, {at}"
    fields: dict[str, Any] = {"request": request, "grain": grain, "status": status}
    if state["opcode"] == Opcode.COMPUTE and state["failed_left"] > 1:
        what += f": {state['failed_left'] - 1:,} later rows of the batch were not run"
    kernel = state["kernel"]
    if state["program"] is not None:
        kernel = state["program"].kernel_of(state["fault"][6])
    elif state["opcode"] == Opcode.RUN_PROGRAM:
        kernel = "of that step"  # whose program nobody holds any more
    match status:
        case Status.KERNEL_FAULT:
            name = signal.Signals(state["value"]).name
            cure = (
                "guard its integer divisions: by 0, and the lowest int by -1"
                if name == "SIGFPE"
                else "run it with checked=True to find the access, and look at its recursion"
            )
            return KernelFault(
                f"{what}: kernel {kernel} ended with {name} on grain {grain!r}; its outputs are "
                f"undefined, everything else goes on; {cure}",
                kernel=kernel,
                signal=name,
                **fields,
            )
        case Status.OUT_OF_BOUNDS:
            return OutOfBounds(_bounds_text(what, kernel, state), kernel=kernel, **fields)
        case Status.STALE_HANDLE:
            return StaleHandle(
                f"{what}: a handle of grain {grain!r} is stale (released or replaced before this "
                "message ran); allocate again",
                **fields,
            )
        case Status.FOREIGN_HANDLE:
            return StaleHandle(
                f"{what}: a handle belongs to another grain than {grain!r}; use the grain that "
                "allocated it",
                **fields,
            )
        case Status.UNKNOWN_KERNEL:
            return UnknownKernel(f"{what}: the ring has no kernel of that id", **fields)
        case Status.CANCELLED:
            return Cancelled(
                f"{what} on grain {grain!r} was dropped by cancel() or cut short by close(); "
                "post it again if it is still wanted",
                **fields,
            )
        case Status.RING_STALLED:
            return RingStalled(
                f"{what} on grain {grain!r} was answered because the engine made no progress for "
                f"`stall_s`: a kernel does not end; {_after_a_stall(grain, state['on_device'])}",
                **fields,
            )
        case Status.RING_CLOSED:
            return RingClosed(
                f"{what} on grain {grain!r} was still queued when the manager closed; wait for "
                "completions before close()",
                **fields,
            )
        case Status.NOT_LAUNCHED:
            return KernelFault(
                f"{what}: kernel {kernel} was not launched on grain {grain!r}: "
                f"{_LAUNCH_ERRORS.get(state['value'], 'the driver refused it')} (CUDA error "
                f"{state['value']}); nothing ran, everything else goes on",
                kernel=kernel,
                cuda_error=state["value"],
                **fields,
            )
        case Status.DEVICE_LOST:
            return DeviceLost(
                f"{what}: the device was lost with grain {grain!r} on it; {_way_back(grain)}",
                **fields,
            )
    return GpuResError(
        f"{what} on grain {grain!r} was refused by the ring: {status.name}", **fields
    )


def again(error: BaseException) -> BaseException:
    """Return the error of what the host did for a grain, for one more caller."""
    if isinstance(error, GpuResError):
        fresh: BaseException = type(error)(str(error), **error.fields)
    else:
        fresh = copy.copy(error)
    fresh.__cause__ = error.__cause__
    return fresh


def _after_a_stall(key: str, on_device: bool) -> str:
    if on_device:  # whatever allocates would wait for that kernel
        return _way_back(key)
    return (
        "restart the Jupyter kernel (or process) to free the worker, or go on with a new one: "
        f"lab.restore({key!r}) brings the last checkpoint back; grains that were neither "
        "checkpointed nor deactivated are lost"
    )


def _way_back(key: str) -> str:
    return (
        "its last checkpoint comes back in a new process: restart the Jupyter kernel, then "
        f"gpures_lab.manager().restore({key!r})"
    )


def _bounds_text(what: str, kernel: str | None, state: dict[str, Any]) -> str:
    flag, array, axis, index, extent = state["fault"][:5]
    if not flag:
        return f"{what}: an element range leaves its allocation; nothing was changed"
    program = state["program"]
    if program is None and state["opcode"] == Opcode.RUN_PROGRAM:
        kernel_id = 0
    elif program is None:  # a batch's own number is in the detail, a plain launch's in the request
        kernel_id = state["kernel_id"] or state["fault"][5]
        kernel = kernel or _native.kernel_names().get(kernel_id)
    else:
        kernel_id = program.kernel_id_of(state["fault"][6])
    names = _native.kernel_arrays(kernel_id)
    called = names[array] if array < len(names) else f"array {array}"
    if flag == _MISFIT:
        return (
            f"{what}: kernel {kernel} needs extent {index} of axis {axis} in {called}, which has "
            f"{extent}; nothing was written; give arrays that fit each other"
        )
    where = f"flat index {index}" if axis < 0 else f"index {index} of axis {axis}"
    return (
        f"{what}: kernel {kernel} used {where} of {called}, which has {extent}; the access was "
        "skipped, the other indices ran; keep the index in range, or give n=/shape= for fewer "
        "indices"
    )


def timed_out(completion: Completion[Any], timeout_s: float) -> TimeoutError:
    """Return the error of a wait that ran out; the request stays live."""
    state = completion._state
    return TimeoutError(
        f"request {completion.request} ({word_of(state['opcode'])}) on grain "
        f"{completion.grain.key!r} was not answered within {timeout_s} s; it is still live: "
        "wait again, or drop what is queued with grain.cancel()"
    )


def bad_timeout(value: object) -> InvalidOption:
    """Return the error of a timeout that is no number, negative or NaN."""
    return InvalidOption(f"timeout={value!r}: give seconds, 0 or more, or None", value=value)


def interrupted_grain(key: str) -> KeyboardInterrupt:
    """Return Ctrl-C's exception of a wait for a grain."""
    return KeyboardInterrupt(
        f"earlier messages of grain {key!r} may still run; grain.cancel() drops what is queued"
    )


def interrupted_parts(key: str, unit: str, done: int, total: int) -> KeyboardInterrupt:
    """Return Ctrl-C's exception of a call that hands over many parts: what it had done."""
    whole, _, what = unit.partition(" ")
    if done == 0:
        return KeyboardInterrupt(
            f"nothing was {what or 'posted'} on grain {key!r}; its earlier messages may still run, "
            "grain.cancel() drops what is queued"
        )
    return KeyboardInterrupt(
        f"{done:,} of {total:,} {whole} were {what or 'posted'} on grain {key!r} and stay; "
        "the rest was not"
    )


def interrupted(request: int) -> KeyboardInterrupt:
    """Return Ctrl-C's exception, saying that the work goes on."""
    return KeyboardInterrupt(f"request {request} still runs; grain.cancel() drops what is queued")


def borrowed(key: str) -> InvalidOption:
    """Return the error of waiting, inside `with grain.borrow()`, for what the borrow holds back."""
    return InvalidOption("grain is borrowed: leave the with block first", grain=key)


def quiesced(key: str) -> InvalidOption:
    """Return the error of waiting, inside `with lab.quiesced()`, for what runs only after it."""
    return InvalidOption(
        f"this thread is inside `with lab.quiesced()`, and grain {key!r} has messages that run "
        "only after it: leave the with block first",
        grain=key,
    )


def bad_flag(name: str, value: object) -> InvalidOption:
    """Return the error of something else where a bool is asked for."""
    return InvalidOption(f"{name}={value!r}: give True or False", value=value)


def closed(key: str, forked: bool) -> RingClosed:
    """Return the error of using a grain after close, or in a forked child."""
    if forked:
        return RingClosed(
            f"grain {key!r} belongs to the process this one was forked from; call gl.manager() "
            "here, or start workers with the 'spawn' method",
            grain=key,
            forked=True,
        )
    return RingClosed(
        f"grain {key!r} belongs to a manager that was closed; gl.manager() makes a new one",
        grain=key,
        forked=False,
    )


def refused(grain: Any, cause: int, request: int, index: int) -> GpuResError:
    """Return the error of a ring that takes no more messages; ``request`` is the one that is stuck.

    ``index`` is the number of the grain that posted it.
    """
    key = grain.key
    if cause == Status.RING_STALLED:
        return RingStalled(
            f"the engine of grain {key!r} stalled at request {request}{_stuck(grain, index)}: a "
            f"kernel does not end; {_after_a_stall(key, _is_on_device(grain))}",
            grain=key,
            request=request,
        )
    if cause == Status.DEVICE_LOST:
        return DeviceLost(
            f"the device of grain {key!r} was lost; {_way_back(key)}",
            grain=key,
        )
    return closed(key, False)


def _is_on_device(grain: Any) -> bool:
    return grain.manager is not None and grain.manager.driver.name != "host"


def _stuck(grain: Any, index: int) -> str:
    known = {} if grain.manager is None else grain.manager.grains
    if known.get(grain.key) is not grain:
        return ""  # a new engine has taken over, with numbers of its own
    return next(
        (f" of grain {each.key!r}" for each in known.values() if each._counts()["index"] == index),
        "",
    )


def ring_full(key: str, slots: int, pending: int, waited_ns: int, ring: int) -> RingFull:
    """Return the error of a post that found no room in time."""
    return RingFull(
        f"ring {ring} full: {pending}/{slots} messages pending for {waited_ns / 1e9:.3g} s "
        f"(grain {key!r}); raise RingOptions.slots, wait for older completions, or leave "
        "`with grain.borrow()`",
        grain=key,
        slots=slots,
        pending=pending,
        ring=ring,
    )


def not_at_rest(key: str, waited_ns: int, ring: int) -> RingFull:
    """Return the error of a copy of a grain that earlier messages of its ring may still change."""
    return RingFull(
        f"nothing of ring {ring} ended for {waited_ns / 1e9:.3g} s: a kernel or program, of grain "
        f"{key!r} or of another one of that ring, still runs and may write to it, so it was not "
        "put away; wait for its completion, or drop it with its grain's cancel(), then try again",
        grain=key,
        ring=ring,
    )


def no_ring(key: str, rings: int) -> InvalidOption:
    """Return the error of a dedicated grain beyond the last ring."""
    return InvalidOption(
        f"grain {key!r}: placement='dedicated' needs a ring of its own and all {rings} are taken; "
        "use placement='shared' or raise RingOptions.max_rings (a grain keeps its ring until the "
        "manager closes, discarded or not)",
        grain=key,
        rings=rings,
    )
