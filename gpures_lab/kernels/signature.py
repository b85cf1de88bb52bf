"""What a kernel is compiled for, and what compiling it gives."""

from __future__ import annotations

from dataclasses import dataclass

FLAT = 255  # for an axis: all elements, whatever the shape; kFlat of _core/python/objects.hpp


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """One array argument of a call: its dtype (``numpy.dtype.name``) and number of dimensions."""

    dtype: str
    ndim: int


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """One scalar argument.

    ``kind`` is ``"int"``, ``"float"``, ``"bool"`` or ``"complex"`` for a Python scalar (weak: it
    never widens an array's arithmetic), else the dtype name of a NumPy scalar.
    """

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Signature:
    """Everything about a call that changes the compiled code; never a value.

    Attributes
    ----------
    arrays
        In binding order: inputs, then outputs.
    same
        ``same[p]`` is the first position that holds the same handle as position ``p``
        (``p`` itself when it is the first).
    inputs
        How many of ``arrays`` are inputs.
    params
        In the order in which the kernel declares them.
    checked
        Whether out-of-range accesses are skipped and reported.
    """

    arrays: tuple[ArraySpec, ...]
    same: tuple[int, ...]
    inputs: int
    params: tuple[ParamSpec, ...]
    checked: bool


@dataclass(frozen=True, slots=True)
class SpaceRule:
    """What a body that stores to elements of no index in particular asks of its index space.

    Attributes
    ----------
    adds_up
        Binding position of an array of which it stores what it made of an element that every index
        reads and stores, as in ``total[0] += v[i]``: only one index may. -1: there is none.
    followed
        No store to the first output says what the index space is, so one that is taken from that
        output must hold these: binding position, axis (`FLAT`: all elements) and index of each
        array that is read at exactly an index, in a row.
    """

    adds_up: int = -1
    followed: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class HostCode:
    """Machine code for the host driver, with the C signature of ``_core/shared/kernel_abi.hpp``.

    Attributes
    ----------
    address
        Entry point; valid as long as ``owner`` lives.
    arrays
        Binding positions that are passed, in the compiled order; equal handles are passed once.
    indices
        1 to 3.
    is_map
        Every subscript is exactly the loop index (or indices): bounds are checked once per array
        before the call, never inside.
    is_straight
        There is no loop in the body: an index takes about as long as one of the library's, so the
        serve loop calls it in long slices.
    is_reduction
        One index over the first input's size; the output has one element.
    may_fault
        The code can raise SIGSEGV, SIGBUS or SIGFPE (C++), so the worker calls it under a guard.
    cache_hit
        The code came from the disk cache, nothing was compiled.
    at_hand
        It was in memory: an equal kernel compiled it, or read it, earlier.
    space_rule
        What a call's index space is held against.
    """

    address: int
    owner: object
    arrays: tuple[int, ...]
    indices: int
    is_map: bool
    is_straight: bool
    is_reduction: bool
    may_fault: bool
    cache_hit: bool
    at_hand: bool = False
    space_rule: SpaceRule = SpaceRule()
