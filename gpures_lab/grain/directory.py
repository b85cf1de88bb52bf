"""The directory of grains in this process, and the engine they share."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, Self

from gpures_lab._core import _native
from gpures_lab.drivers import choose
from gpures_lab.drivers.cuda import CudaDriver
from gpures_lab.errors import DriverUnavailable, InvalidOption, RingClosed
from gpures_lab.grain.borrow import running_task
from gpures_lab.grain.checkpoints import HasCheckpoints
from gpures_lab.grain.device import DeviceEngine
from gpures_lab.grain.ending import close, close_dropped, living
from gpures_lab.grain.figures import device_snapshot
from gpures_lab.grain.finding import find
from gpures_lab.grain.grain import Grain
from gpures_lab.grain.idle import IdleWatch
from gpures_lab.grain.logs import follow_environment
from gpures_lab.grain.residency import Residency
from gpures_lab.grain.runs import RunProgress, Runs
from gpures_lab.grain.saver import Saver
from gpures_lab.grain.supervision import Lost
from gpures_lab.grain.tracing import recorder_of
from gpures_lab.kernels.usage import KernelUse, kernels_used
from gpures_lab.metrics import ResidentMemoryMetrics, Sampler, from_snapshot, metrics_frame
from gpures_lab.metrics.units import plural
from gpures_lab.options import ManagerOptions, RingOptions

if TYPE_CHECKING:
    import pandas as pd

    from gpures_lab.drivers import Driver
    from gpures_lab.metrics import MetricsServer, Trace

__all__ = ["GrainManager"]


follow_environment()


class GrainManager(HasCheckpoints):
    """Activates grains, places them on rings, and counts what they do.

    Owns threads and memory: close it, or use it with ``with``. At exit it closes itself.

    Parameters
    ----------
    device
        ``"auto"``, ``"host"`` or ``"cuda:0"``.
    pool_limit_bytes
        Most bytes of resident memory; the driver's default when None.
    full_wait_s
        How long a post waits for a free slot before `RingFull`; 0 rejects at once.
    stall_s
        How long a ring may make no progress before it counts as stalled, and the longest that a
        plain launch of the wide path may run.
    idle_after_s
        Grains without messages for this long are deactivated; never when None.
    state_url, blobs_url
        SQLAlchemy URL of the checkpoints' database, fsspec URL of their contents; a SQLite file
        and a folder in the user's data folder when None. Opened at first use, or when a grain is
        made durable.
    ring
        Slots, linger, lease, spin, and how many rings there may be.

    Raises
    ------
    InvalidOption, DriverUnavailable
    """

    def __init__(
        self,
        *,
        device: str = "auto",
        pool_limit_bytes: int | None = None,
        full_wait_s: float = 5.0,
        stall_s: float = 5.0,
        idle_after_s: float | None = None,
        state_url: str | None = None,
        blobs_url: str | None = None,
        ring: RingOptions | None = None,
    ) -> None:
        if not _native.is_main_interpreter():
            raise DriverUnavailable(
                "a manager cannot run in a subinterpreter: its threads would outlive it; make it "
                "in the main interpreter, or in a process of its own",
                driver=device,
            )
        self.options = ManagerOptions(
            device=device,
            pool_limit_bytes=pool_limit_bytes,
            full_wait_s=full_wait_s,
            stall_s=stall_s,
            idle_after_s=idle_after_s,
            state_url=state_url,
            blobs_url=blobs_url,
            ring=RingOptions() if ring is None else ring,
        )
        self.driver: Driver = choose(device)
        self.start_time = datetime.now(UTC)
        self._engine = self._new_engine()
        self._device = (
            DeviceEngine(self._engine, self.driver, self._window)
            if isinstance(self.driver, CudaDriver)
            else None
        )
        self._grains: dict[str, Grain] = {}
        self._stores: dict[int, _native.GrainBase] = {}  # by ring: they own the programs
        self._lock = threading.Lock()
        self._sampler: Sampler | None = None
        self._recorder = recorder_of(self)
        self._runs = Runs()
        self._ends_with_us: list[MetricsServer] = []
        self._closed = self._exiting = self._scoped = False
        self._quiescing: list[object] = []  # the asyncio task of each window
        self._lost: dict[str, Lost] = {}
        self._saver = Saver(state_url, blobs_url, partial(_served, weakref.ref(self)))
        self._residency = Residency(self)
        self._idle = None if idle_after_s is None else IdleWatch(self._residency, idle_after_s)
        living.add(self)

    def _new_engine(self) -> _native.Engine:
        options = self.options
        return _native.Engine(
            slots=options.ring.slots,
            # What cannot bear a kernel that stays gets a launch for each burst of messages.
            linger_ns=0 if self.driver.event_driven else options.ring.linger_us * 1_000,
            lease_ns=options.ring.lease_ms * 1_000_000,
            max_rings=options.ring.max_rings,
            spin_ns=options.ring.spin_us * 1_000,
            pool_limit_bytes=options.pool_limit_bytes or self.driver.default_pool_limit_bytes,
            stall_ns=int(options.stall_s * 1e9),
            dma_above_bytes=_given(
                options.ring.dma_above_bytes, self.driver.default_dma_above_bytes
            ),
            wide_above_bytes=_given(
                options.ring.wide_above_bytes, self.driver.default_wide_above_bytes
            ),
            device=isinstance(self.driver, CudaDriver),
        )

    # Grains -----------------------------------------------------------------------------------

    def grain(
        self,
        key: str = "notebook",
        *,
        dtype: Any = None,
        device: str | None = None,
        placement: str | None = None,
        durable: bool | None = None,
    ) -> Grain:
        """Return the grain of this key; it always exists. Waits for no message.

        Parameters
        ----------
        key
            Any string of 1 to 512 UTF-8 bytes.
        dtype
            Default of `Grain.allocate`; float32 when left out the first time.
        device
            None, or the manager's own device.
        placement
            ``"shared"`` (ring 0) or ``"dedicated"`` (a ring of its own).
        durable
            True: deactivation, `close` and exit save the grain to the store, as they do every
            grain that was checkpointed or restored; False when left out the first time.

        Raises
        ------
        InvalidOption
            The key is no such string, or the grain exists with other options.

        Warns
        -----
        RuntimeWarning
            The grain was made durable over a checkpoint that was not restored, or its store cannot
            be used (looked at for a second at most): nothing of it could be saved.
        """
        return find(self, key, dtype=dtype, device=device, placement=placement, durable=durable)

    @property
    def grains(self) -> Mapping[str, Grain]:
        """Grains by key, oldest first; a copy."""
        return dict(self._grains)

    @property
    def runs(self) -> tuple[RunProgress, ...]:
        """Runs of programs that have not ended and whose completion is held, oldest first."""
        return self._runs.now()

    def _program_store(self, grain: Grain) -> _native.GrainBase:
        ring = grain._counts()["ring"]
        with self._lock:
            store = self._stores.get(ring)
            if store is None:
                store = self._stores[ring] = grain._program_store()
            return store

    # Engine -----------------------------------------------------------------------------------

    def park(self) -> None:
        """Make the ring kernel leave now; memory stays, the next message relaunches it.

        Raises
        ------
        RingClosed
            The manager is closed, or another process's.
        """
        self._check_open()
        self._park()

    @contextmanager
    def quiesced(self) -> Iterator[None]:
        """Park, and hold relaunches until the block ends; posting goes on.

        For what must not run beside a ring. Messages that are posted inside run after it, so this
        thread may not wait for them without a timeout: leave the block first.

        Raises
        ------
        RingClosed
            The manager is closed, or another process's.

        Inside the block, what would wait for ever raises `InvalidOption`: `result()` without a
        timeout, `await`, `borrow`, `checkpoint`, a transfer beyond the ring's room.
        """
        self._check_open()
        task = running_task()
        with self._window(threading.get_ident()):
            self._quiescing.append(task)
            try:
                yield
            finally:
                self._quiescing.remove(task)

    def _quiesces(self, task: object) -> bool:
        # A block entered outside any task keeps the whole thread, its loop too.
        return any(each is None or each is task for each in self._quiescing)

    @contextmanager
    def _window(self, thread: int = 0) -> Iterator[None]:
        self._engine.begin_quiesced(thread)
        try:
            self._park()
            yield
        finally:
            self._engine.end_quiesced(thread)

    def _park(self) -> None:
        # In slices, so that Ctrl-C ends the wait for a long kernel.
        try:
            while not self._engine.park(50_000_000):
                pass
        except KeyboardInterrupt as error:
            raise (
                error if error.args else KeyboardInterrupt("a kernel still runs; it parks after it")
            ) from None

    # Metrics ----------------------------------------------------------------------------------

    def metrics(self) -> ResidentMemoryMetrics:
        """Return the sixteen figures of `ResidentMemoryMetrics` and more, as they stand now."""
        if self._engine.forked:
            self._check_open()  # raises: locks of the parent's threads may be held for ever
        return from_snapshot(self._snapshot())

    def metrics_frame(self) -> pd.DataFrame:
        """Return the history since the first call, one row a sample. Needs pandas."""
        self._check_open()
        if self._sampler is None:
            self._sampler = Sampler(self._snapshot)
        return metrics_frame(self._sampler.history())

    def _close_with(self, server: MetricsServer) -> None:
        self._ends_with_us = [each for each in self._ends_with_us if not each.closed]
        self._ends_with_us.append(server)

    def kernels(self) -> tuple[KernelUse, ...]:
        """Return the kernels this process has used: versions, hits and misses."""
        return kernels_used()

    def trace(self, rows: int = 65_536) -> Trace:
        """Record when each message was posted, taken and done, from now on.

        Parameters
        ----------
        rows
            Messages kept, 1 to 2,000,000; the oldest go first. 48 bytes each.

        Returns
        -------
        Trace
            Close it, or use it with ``with``; its `save` writes Chrome trace JSON, its `messages`
            and `frame` give values.

        Raises
        ------
        InvalidOption, RingClosed
        """
        self._check_open()
        return self._recorder.start(rows)

    def _snapshot(self) -> dict[str, object]:
        return device_snapshot(self)

    # Closing ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop accepting, let pending work end, save durable grains, release everything.

        Harmless when repeated.

        A log line says which grains end unsaved; at the end of a with block only if the store was
        used.

        Work that makes no progress for `stall_s` is given up. Ctrl-C ends the waiting; whatever
        is still pending is answered with `RingClosed` or `Cancelled`.
        """
        close(self)

    @property
    def closed(self) -> bool:
        """Whether `close` was called, or this is a forked child."""
        return self._closed or self._engine.forked

    def _check_open(self) -> None:
        if self._engine.forked:
            raise RingClosed(
                "this manager belongs to the process this one was forked from; call gl.manager() "
                "here, or start workers with the 'spawn' method",
                forked=True,
            )
        if self._closed:
            raise RingClosed("this manager was closed; gl.manager() makes a new one", forked=False)

    def __enter__(self) -> Self:
        self._check_open()
        self._scoped = True
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and self._grains and not self._engine.forked:
            close_dropped(self)

    def __copy__(self) -> NoReturn:
        raise InvalidOption(
            "a manager is not copied, nor pickled: it owns threads and memory; pass it on as it "
            "is, or call gl.manager() where it is needed"
        )

    def __deepcopy__(self, memo: object) -> NoReturn:
        self.__copy__()

    def __reduce__(self) -> NoReturn:
        self.__copy__()

    def __repr__(self) -> str:
        state = "CLOSED" if self.closed else self._engine.state
        return (
            f"<GrainManager on {self.driver.label}: {state}, {plural(len(self._grains), 'grain')}>"
        )


def _given(wanted: int | None, default: int | None) -> int | None:
    return default if wanted is None else wanted


def _served(owner: weakref.ref[GrainManager]) -> int:
    found = owner()
    return 0 if found is None else found._engine.messages
