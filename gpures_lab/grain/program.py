"""A program: messages recorded once, replayed by the ring kernel with no host in between."""

from __future__ import annotations

import operator
import struct
import threading
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from gpures_lab._core import _native
from gpures_lab.errors import (
    DeviceLost,
    DtypeMismatch,
    InvalidOption,
    RingClosed,
    RingStalled,
    StaleHandle,
)
from gpures_lab.grain.arguments import not_a_handle
from gpures_lab.grain.residency import wake
from gpures_lab.grain.result import RunResult
from gpures_lab.grain.text import program_html
from gpures_lab.kernels.calls import pack_param
from gpures_lab.ring.program_image import LateWord, RecordedStep, program_bytes
from gpures_lab.ring.wire import word_of

if TYPE_CHECKING:
    from types import TracebackType

    from gpures_lab._core._native import Completion, ResidentArray
    from gpures_lab.grain.grain import Grain

__all__ = ["Program", "not_recordable", "other_ring", "run_result"]

LATE_WORDS = 512  # what a page holds
MOST_ITERATIONS = 2**63 - 1
UNTIL_FLOAT = 256


class _Late(NamedTuple):  # a recorded parameter
    name: str
    pack: int  # 0: as the Python or NumPy scalar it was recorded with; else 1 + dtype number
    value: Any


class Program:
    """A recorded sequence of messages; made by `Grain.record`, replayed by `run`.

    Inside the ``with`` block, calls of this thread on grains of the same ring (`compute`,
    `write` up to 4 KiB, `ping`, `barrier`, of this or another grain) are recorded instead of
    posted, and return None. The program keeps the handles it uses.
    """

    def __init__(self, grain: Grain, name: str | None = None) -> None:
        if name is not None and not isinstance(name, str):
            raise InvalidOption(f"name={name!r}: give a str")
        self.grain = grain
        self.name = name
        self._steps: list[RecordedStep] = []
        self._late: list[_Late] = []
        self._words = 0
        self._handles: tuple[Any, ...] = ()
        self._grains: tuple[Any, ...] = ()  # that its steps change
        self._recorded = b""  # the late words of a run without params
        self._memory: ResidentArray | None = None
        self._state = "new"

    def __enter__(self) -> Self:
        if self._state != "new":
            raise InvalidOption("this program was recorded already; grain.record() makes a new one")
        self.grain._begin_record(self._steps)
        self._state = "recording"
        self._thread = threading.get_ident()
        return self

    def __del__(self) -> None:
        # Else this thread's calls, on grains of any manager, were steps of it for ever.
        if getattr(self, "_state", "") != "recording" or self._thread != threading.get_ident():
            return
        self.grain._end_record()
        warnings.warn(
            f"a recording on grain {self.grain.key!r} was begun and dropped: its {len(self)} "
            "step(s) were not posted; write `with grain.record() as program:`",
            RuntimeWarning,
            stacklevel=2,
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.grain._end_record()
        self._steps = [RecordedStep(*step) for step in self._steps]
        if error is not None:
            self._state = "broken"
            return
        self._finish()
        self._state = "recorded"
        if self.name is not None:
            self.grain._programs[self.name] = self

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def params(self) -> tuple[str, ...]:
        """Names of the scalars that `run` can give."""
        return tuple(dict.fromkeys(late.name for late in self._late))

    def _finish(self) -> None:
        late: list[LateWord] = []
        sources: dict[tuple[object, ...], int] = {}  # equal parameters share their words
        for number, step in enumerate(self._steps):
            for name, word, pack, value in step.params:
                raw = _pack(name, pack, value, value)
                key = (name, pack, type(value), raw)
                first = sources.get(key)
                if first is None:
                    first = sources[key] = self._words
                    self._late.append(_Late(name, pack, value))
                    self._words += len(raw) // 8
                late += [LateWord(number, word + n, first + n) for n in range(len(raw) // 8)]
        if self._words > LATE_WORDS:
            raise InvalidOption(
                f"this program has {self._words:,} words of different scalar parameters, the most "
                f"is {LATE_WORDS}; keep them in a resident array, or record fewer steps and repeat"
            )
        seen = {id(handle): handle for step in self._steps for handle in step.handles}
        self._handles = tuple(seen.values())
        self._grains = tuple({id(each.grain): each.grain for each in self._handles}.values())
        self._recorded = self._late_bytes({})
        written, nbytes = program_bytes(self._steps, late)
        store = self.grain._store()
        try:
            self._memory = store.allocate(nbytes)
            store.write(self._memory, np.frombuffer(written, np.uint8), offset=0)
        except (DeviceLost, RingClosed, RingStalled):
            self.grain.ping()  # raises the same in this grain's name: nobody made the store
            raise

    def run(
        self,
        *,
        repeat: int = 1,
        until: ResidentArray | None = None,
        every: int = 1,
        params: Mapping[str, Any] | None = None,
    ) -> Completion[RunResult]:
        """Replay the steps ``repeat`` times, as one message of the grain.

        Parameters
        ----------
        repeat
            Most iterations, 0 or more.
        until
            One-element array of this grain, bool, integer or float: the run ends after the
            iteration that leaves it non-zero. A step of the program should write it.
        every
            Iterations between two looks at ``until``.
        params
            Scalars by name, for every step that has a parameter of that name; what is left out
            keeps its recorded value. A value takes the recorded one's type, so nothing compiles.

        Returns
        -------
        Completion
            Of a `RunResult`. The run ends at its first error, with earlier steps done.
            `grain.cancel()` ends it after the present step.

        Raises
        ------
        StaleHandle
            A handle of the program was released or replaced. Nothing ran.
        InvalidOption, DtypeMismatch
            An option is out of range, or a parameter is unknown or does not fit.
        """
        memory = self._memory
        if self._state != "recorded" or memory is None:
            raise InvalidOption(
                f"this program is {self._state}, not recorded; leave its with block"
            )
        manager = self.grain.manager
        if manager is None or memory.released:
            self.grain.ping()  # raises RingClosed with the cure
        repeat = _count("repeat", repeat, 0)
        every = _count("every", every, 1)
        late = self._recorded if params is None else self._late_bytes(self._given(params))
        for handle in self._handles:
            if handle.released:
                raise StaleHandle(
                    f"{handle.name} of grain {handle.grain.key!r} was released or replaced after "
                    "the program was recorded; record it again"
                )
        item = 0 if until is None else _until_item(until)
        grains = self._grains
        for grain in grains:  # nobody deactivates them before the message is posted
            grain._pin()
        try:
            for grain in grains:
                wake(grain)
            completion: Completion[RunResult] = self.grain._run_program(
                self,
                memory,
                repeat,
                until,
                every,
                item,
                late,
                grains,
            )
        finally:
            for grain in grains:
                grain._unpin()
        manager._runs.add(self, repeat, completion)
        return completion

    def _given(self, params: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(params, Mapping):
            raise InvalidOption(
                f"params={params!r} is a {type(params).__name__}; pass a dict of name: number"
            )
        unknown = set(params) - set(self.params)
        if unknown:
            raise InvalidOption(
                f"the program has no parameter {', '.join(sorted(map(repr, unknown)))}; it has "
                f"{', '.join(self.params) or 'none'}"
            )
        return dict(params)

    def _late_bytes(self, given: dict[str, Any]) -> bytes:
        return b"".join(
            _pack(each.name, each.pack, each.value, given.get(each.name, each.value))
            for each in self._late
        )

    def step_text(self, number: int) -> str:
        """Return what a step is, for messages: ``step 3 (Compute)``."""
        if not 0 <= number < len(self._steps):
            return f"step {number}"
        opcode = struct.unpack_from("<H", self._steps[number].slot, 20)[0]
        return f"step {number} ({word_of(opcode)})"

    def kernel_of(self, number: int) -> str | None:
        """Return the name of the kernel that a step calls, None for other steps."""
        return self._steps[number].kernel if 0 <= number < len(self._steps) else None

    def kernel_id_of(self, number: int) -> int:
        """Return the id of the kernel version that a step calls."""
        found: int = struct.unpack_from("<I", self._steps[number].slot, 24)[0]
        return found

    def _repr_html_(self) -> str:
        return program_html(self)

    def __repr__(self) -> str:
        if self._state != "recorded":
            return f"<Program {self._state}, grain {self.grain.key!r}>"
        names = f", params {', '.join(self.params)}" if self._late else ""
        many = "" if len(self) == 1 else "s"
        return f"<Program of {len(self)} step{many}, grain {self.grain.key!r}{names}>"


def _count(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InvalidOption(f"{name}={value!r}: give an int of {least} or more")
    count = operator.index(value)
    if not least <= count <= MOST_ITERATIONS:
        raise InvalidOption(f"{name}={value!r}: the range is {least} to {MOST_ITERATIONS}")
    return count


def _pack(name: str, pack: int, recorded: Any, value: Any) -> bytes:
    try:
        if pack:
            return pack_param(value, pack - 1)
        if isinstance(recorded, np.generic):
            holder = np.zeros(1, recorded.dtype)
            np.copyto(holder, value, casting="same_kind")
            raw = holder.tobytes()
            return raw + bytes(-len(raw) % 8)
        if isinstance(recorded, int):  # bool among them
            return struct.pack("<q", operator.index(value))
        if isinstance(recorded, float):
            return struct.pack("<d", float(value))
        number = complex(value)
        return struct.pack("<2d", number.real, number.imag)
    except (TypeError, ValueError, OverflowError, struct.error):
        raise DtypeMismatch(
            f"parameter {name}={value!r} does not fit: it was recorded as {recorded!r} "
            f"({type(recorded).__name__}); give that type, or record the program with the new one"
        ) from None


def _until_item(until: ResidentArray) -> int:
    if not isinstance(until, _native.ResidentArray):
        raise not_a_handle(until)
    kind, item = until.dtype.kind, until.dtype.itemsize
    if until.size != 1 or kind not in "biuf":
        raise InvalidOption(
            f"until={until!r}: give an allocation of one bool, integer or float element"
        )
    return int(item) | (UNTIL_FLOAT if kind == "f" else 0)


def run_result(  # noqa: PLR0917 - called by position from native code
    program: Program,
    iterations: int,
    execution_ns: int,
    queue_ns: int | None,
    round_trip_ns: int,
    driver: str,
) -> RunResult:
    """Build the result for the native binding."""
    steps = iterations * len(program)
    return RunResult(iterations, steps, execution_ns, queue_ns, round_trip_ns, driver)


def not_recordable(what: str) -> InvalidOption:
    """Return the error of a call that a program cannot hold."""
    cure = {
        "write": "a program holds at most 4 KiB a write: keep larger data in an allocation and "
        "copy it with 'kernels/Copy'",
        "record": "this thread records a program already: leave its with block first",
        "run": "a program cannot run another one: record the steps themselves",
    }.get(what, "call it before or after the with block")
    return InvalidOption(f"{what}() cannot be recorded: {cure}")


def other_ring(key: str) -> InvalidOption:
    """Return the error of recording two rings into one program."""
    return InvalidOption(
        f"grain {key!r} is on another ring than the program; a program is replayed by one ring: "
        "use grains with placement='shared'"
    )
