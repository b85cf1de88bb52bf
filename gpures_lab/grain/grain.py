"""One grain: a key that owns memory on a device and answers messages in order."""

from __future__ import annotations

import threading
import weakref
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from gpures_lab._core import _native
from gpures_lab.errors import InvalidOption, StateConflict
from gpures_lab.grain.batch import prepared
from gpures_lab.grain.borrow import Borrow
from gpures_lab.grain.checkpoint import checkpoint, hint_of
from gpures_lab.grain.figures import grain_metrics
from gpures_lab.grain.kept import Kept, programs_of, with_durable
from gpures_lab.grain.program import Program
from gpures_lab.grain.program_text import recorded_again
from gpures_lab.grain.residency import deactivate
from gpures_lab.grain.state import GrainState
from gpures_lab.grain.text import grain_html
from gpures_lab.metrics.units import bytes_text, count_text, plural

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from gpures_lab._core._native import Completion, ResidentArray
    from gpures_lab.grain.directory import GrainManager
    from gpures_lab.grain.store.manifest import Json, Manifest
    from gpures_lab.metrics import ResidentMemoryMetrics

__all__ = ["Grain"]


# Made when they are first asked for: of ten thousand grains few need them.
_LATE = {
    "_named": dict,
    "_program_texts": dict,
    "_programs": weakref.WeakValueDictionary,
    "_state": GrainState,
}
_late_lock = threading.Lock()


class Grain(_native.GrainBase):
    """A virtual actor that owns device memory; made by `GrainManager.grain`.

    Messages run one at a time, in the order of the calls; a failed one does not stop later ones.
    `allocate`, `write`, `compute`, `read`, `release`, `ping`, `barrier` and `cancel` post one
    message each and come from the native base class.
    """

    __slots__ = (
        "_durable",
        "_etag",
        "_hint",
        "_kept",
        "_kept_number",
        "_manifest",
        "_named",
        "_placement",
        "_program_texts",
        "_programs",
        "_saving",
        "_state",
        "_task",
    )

    _named: dict[str, ResidentArray]
    _programs: weakref.WeakValueDictionary[str, Program]  # recorded here, by name
    _program_texts: dict[str, Json]  # from a checkpoint, not recorded again yet
    _task: object  # the asyncio task that borrows
    _state: GrainState
    _durable: bool  # the option
    _etag: int | None  # of the checkpoint that this grain wrote or came from
    _kept: Kept | None  # what is in that checkpoint
    _kept_number: int  # of the contents in it
    _manifest: Manifest | None  # its whole text
    _saving: int  # checkpoints under way
    _hint: tuple[float, str] | None  # when it was looked up; None: not yet
    _placement: str

    @classmethod
    def _activate(
        cls,
        manager: GrainManager,
        key: str,
        *,
        dtype: np.dtype[Any],
        dedicated: bool,
        durable: bool,
    ) -> Self:
        """Make the grain and its entry in the engine."""
        options = manager.options
        full_wait_ns = int(options.full_wait_s * 1e9)
        self = cls(manager._engine, manager, key, dtype, dedicated, full_wait_ns)
        self._task = None
        self._durable = durable
        if durable:
            with_durable.add(manager)
        self._etag = self._kept = self._manifest = self._hint = None
        self._kept_number = self._saving = 0
        self._placement = "dedicated" if dedicated else "shared"
        return self

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            make = _LATE.get(name)
            if make is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            with _late_lock:
                try:
                    return object.__getattribute__(self, name)  # another thread was first
                except AttributeError:
                    value = make()
                    setattr(self, name, value)
                    return value

    @property
    def placement(self) -> str:
        """``"shared"`` (ring 0), or ``"dedicated"`` (a ring of its own)."""
        return self._placement

    @property
    def handles(self) -> Mapping[str, ResidentArray]:
        """Live allocations by name, oldest first; read-only. Unnamed ones are a0, a1 and so on."""
        return MappingProxyType({handle.name: handle for handle in self._live()})

    def borrow(self, handle: ResidentArray, *, stream: object = None) -> Borrow:
        """View an allocation without a copy, inside a ``with`` block.

        Waits for the grain's earlier messages, holds later ones back until the block ends, and
        gives a CuPy array (NumPy on the host driver) over the memory itself. A view that outlives
        the ``with`` keeps its block rented, but is no longer ordered with the grain.

        Parameters
        ----------
        stream
            On the CUDA driver, the stream on which the block queues its work: leaving the block
            waits for nothing, and the grain goes on when the stream has come to this point. One of
            CuPy, PyTorch or Numba, an object with ``__cuda_stream__``, or an address; None is
            CuPy's present one as the block is left. Work on other streams is yours to join. The
            host driver has no streams and takes only None.

        Raises
        ------
        StaleHandle, InvalidOption
            The handle is not live; a stream was given on the host driver, it is none, or a graph
            is captured on it; this thread is inside `lab.quiesced()` and earlier messages wait for
            its end.
        RingStalled, DeviceLost
            The engine has failed: a kernel may still be at the memory.

        Notes
        -----
        Waiting inside the block for what the block holds back is refused at once, where that can
        be seen: in its own thread, and in the asyncio task that entered it. Another task of that
        thread, or another thread, waits until the block ends: do not make the block wait for it.
        """
        self._refuse_in_record("borrow")
        owner = self.manager
        if stream is not None and owner is not None and owner.driver.name == "host":
            raise InvalidOption("stream= is for the CUDA driver; the host driver has no streams")
        return Borrow(self, handle, stream)

    def submit(self, batch: NDArray[np.void], *, data: ArrayLike | None = None) -> Completion[None]:
        """Post many messages as one: the rows of `gl.messages`, with no Python object a row.

        The rows run in order, as one message of the grain; at the first error the rest is
        dropped. Returns once all of them are posted, so a batch longer than the ring waits for
        its own earlier rows.

        Parameters
        ----------
        batch
            Made by `gl.messages`. Read before this returns.
        data
            What write rows take their elements from, flat in C order; of the handles' dtype.

        Returns
        -------
        Completion
            Of None, once every row is done.

        Raises
        ------
        InvalidOption, UnknownKernel, CompileError, DtypeMismatch
            A row cannot become a message. Nothing was posted.
        RingFull
            No room for `full_wait_s`. What was posted runs, the rest was dropped.
        """
        rows, values = prepared(batch, data)
        completion: Completion[None] = self._submit(rows, values)
        return completion

    def record(self, *, name: str | None = None) -> Program:
        """Record a program: ``with grain.record() as step: grain.compute(...)``, then `run` it.

        Calls inside the block are checked and compiled as usual, but not posted.

        Parameters
        ----------
        name
            Checkpoints keep a program that has one, while somebody holds it: see `program`.

        Raises
        ------
        InvalidOption
            Inside the block, for what a program cannot hold: `allocate`, `read`, `release`, a
            write above 4 KiB, `borrow`, `checkpoint`, `deactivate`, `discard`, a grain of another
            ring.
        """
        return Program(self, name)

    def program(self, name: str, *kernels: Any) -> Program:
        """Return the program of this name; after `restore` it is recorded again.

        Parameters
        ----------
        kernels
            Those that it uses beyond the library's: a checkpoint keeps kernels by name.

        Raises
        ------
        StateConflict
            The grain has no such program, or a handle of it is gone.
        UnknownKernel
            A kernel of it was not given.
        """
        found = self._programs.get(name)
        if found is not None:
            return found
        text = self._program_texts.get(name)
        if text is None:
            known = sorted({*self._programs, *self._program_texts})
            raise StateConflict(
                f"grain {self.key!r} has no program {name!r}; it has {', '.join(known) or 'none'}; "
                "grain.record(name=...) makes one"
            )
        return recorded_again(self, name, text, kernels)

    def _store(self) -> _native.GrainBase:
        store: _native.GrainBase = self._owner()._program_store(self)
        return store

    @property
    def state(self) -> GrainState:
        """JSON-like values by name, kept by a checkpoint beside the memory."""
        return self._state

    @property
    def durable(self) -> bool:
        """Whether deactivation, `close` and exit save it: asked for, checkpointed or restored."""
        return self._durable or self._etag is not None

    def checkpoint(self, *, replace: bool = False) -> Completion[int]:
        """Keep the grain's memory and state as they are at this point of its messages.

        Returns once the contents are copied to host memory, in ring order; hashing and writing go
        on in the background. Earlier messages are waited for, however long they take; Ctrl-C ends
        the wait. Messages of this grain that are posted meanwhile are held back until the copy is
        taken; other grains go on. On `result()` the checkpoint survives a power cut.

        Parameters
        ----------
        replace
            True: whatever checkpoint the key has. False: only the one this grain wrote last or was
            restored from, or none.

        Returns
        -------
        Completion
            Of the etag: 1 for a key's first checkpoint, one more for each later one. Its
            `result()` raises `StateConflict` if another writer was here or there is no room; the
            last checkpoint is untouched then.

        Raises
        ------
        InvalidOption
            The state is not JSON-like, or this thread borrows the grain. Nothing was saved.
        RingFull
            Another thread borrowed the grain for `full_wait_s`. Nothing was saved.

        Warns
        -----
        RuntimeWarning
            Earlier messages failed and nobody looked at their completions.
        """
        self._refuse_in_record("checkpoint")
        return checkpoint(self, replace=replace)

    def deactivate(self) -> Completion[None]:
        """Save the grain and give its memory back to the pool; the next message brings it back.

        Durable grains are saved to the store, others to a spill folder that ends with the process.
        Handles stay valid.

        Returns
        -------
        Completion
            Of None, once the memory is back in the pool. A grain that could not be saved stays
            active, and `result()` says why: `RingFull` (borrowed by another thread, or its ring
            without an end of later work, for `full_wait_s`), `StateConflict` (durable, and another
            writer was here), or what the disk refused. Earlier messages may take what they need.

        Raises
        ------
        InvalidOption
            This thread borrows the grain.
        RingClosed
            The manager is closed, or another process's.
        """
        self._refuse_in_record("deactivate")
        return deactivate(self)

    def discard(self) -> None:
        """Forget memory, state and spill; checkpoints stay. Handles are stale from here on.

        Raises
        ------
        RingFull, RingStalled, DeviceLost, RingClosed
            A release could not be posted; the handles that are left stay live.
        """
        self._refuse_in_record("discard")
        owner = self.manager
        if owner is None or not owner._residency.discard(self):
            for handle in self._live():
                if not handle.released:
                    self.release(handle)
        self._named.clear()
        self._program_texts.clear()
        self._state.clear()
        self._etag = self._kept = self._manifest = self._hint = None

    def _owner(self) -> Any:  # the manager; the class is only known to type checkers
        owner = self.manager
        if owner is None or owner.closed:
            self.ping()  # raises RingClosed with the cure
        return owner

    def _version(self, *, posted: bool = False) -> int:
        """Count what may have changed it: answered so far, or with all that is ``posted``."""
        counts = self._counts()
        return counts["messages"] + counts["touched"] + counts["pending"] * posted

    def _changed(self) -> bool:
        if self._kept is None:
            return (
                self._counts()["allocations"] > 0 or len(self._state) > 0 or bool(programs_of(self))
            )
        return self._kept.is_behind(self, self._version(posted=True))

    def metrics(self) -> ResidentMemoryMetrics:
        """Return this grain's messages, service times, pending and allocations; device-wide rest.

        Percentiles of service are at most 25 % too high; of queue and round trip they are None.

        Raises
        ------
        RingClosed
            The manager is closed, or another process's.
        """
        return grain_metrics(self, self._owner()._snapshot())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.manager is None or self.manager.closed:
            return
        if self.durable:
            self.deactivate().result()
        else:
            self.discard()

    def _repr_html_(self) -> str:
        return grain_html(self)

    def __repr__(self) -> str:
        owner = self.manager
        if owner is None or owner.closed:
            return f"<Grain {self.key!r} closed>"
        counts = self._counts()
        place = f", ring {counts['ring']}" if self.placement == "dedicated" else ""
        asleep = ", deactivated" if self._is_asleep() else ""
        hint = hint_of(self)
        return (
            f"<Grain {self.key!r} on {owner.driver.label}: "
            f"{plural(counts['allocations'], 'allocation')}, {bytes_text(counts['bytes'])}, "
            f"{count_text(counts['messages'])} message{'s' * (counts['messages'] != 1)}{place}"
            f"{asleep}{f'; {hint}' if hint else ''}>"
        )
