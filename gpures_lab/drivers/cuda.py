"""The CUDA driver's thin adapter over CuPy: memory, pinned memory, streams, module load.

Launches, queries and copies are native code's (`_core/cuda`). Everything here that allocates,
frees or loads implies a synchronization of the device, so it runs in a quiesced window only.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from gpures_lab._core import _native
from gpures_lab.drivers.cuda_probe import Probe, probe_device
from gpures_lab.errors import DeviceLost, InvalidOption, PoolExhausted

if TYPE_CHECKING:
    from gpures_lab.drivers.driver import DeviceType, DriverName

__all__ = ["CudaDriver", "CudaMemory"]

GIB: Final = 1 << 30
MIB: Final = 1 << 20
WORK_STREAMS: Final = 3  # kStreams of _core/host/stream_work.hpp
DMA_ABOVE_BYTES: Final = MIB
WIDE_ABOVE_BYTES: Final = 4 * MIB
"""Where one block of the ring stops being the faster way, as estimated: both are **unmeasured**
until `make gpu-check` prints the crossovers (tests/gpu/crossover.py)."""
_PINNED: Final = ("shared", "tables", "staging", "mirror")
_DEVICE: Final = ("worker", "kernels")
# Lower is more urgent; CUDA takes the nearest that the device has.
_MOST_URGENT: Final = -100
_OUT_OF_MEMORY: Final = 2  # the runtime's number and the driver's
_NOT_OURS: Final = frozenset({1, 201, 400})  # a value, context or handle that is no good
_CAPTURE_IMPLICIT: Final = 906  # cudaErrorStreamCaptureImplicit


@dataclass(frozen=True, kw_only=True, slots=True)
class CudaDriver:
    """One NVIDIA GPU, as a `Driver`.

    Attributes
    ----------
    index
        CUDA's number of the device in this process.
    probe
        What was looked up: name, architecture, memory, and what stands in a ring kernel's way.
    reason
        Why this device was chosen.
    cupy
        The module; tests pass a double of it.
    library
        Path of a double of the driver library, which only tests have; None is NVIDIA's.
    """

    index: int
    probe: Probe
    reason: str
    cupy: Any
    library: str | None = None

    @classmethod
    def open(cls, index: int, reason: str, cupy: Any = None, library: str | None = None) -> Self:
        """Look at a device.

        Raises
        ------
        DriverUnavailable
            CuPy is missing, or sees no such device; the message says what to install.
        """
        found, cupy = probe_device(index, cupy)
        return cls(index=index, probe=found, reason=reason, cupy=cupy, library=library)

    @property
    def name(self) -> DriverName:
        """Always ``"cuda"``."""
        return "cuda"

    @property
    def kind(self) -> DeviceType:
        """``"gpu"``; a double is none."""
        return "gpu" if self.library is None else "cpu"

    @property
    def label(self) -> str:
        """``"cuda"``; a double is never called so alone."""
        return "cuda" if self.library is None else "double of cuda (CPU threads)"

    @property
    def device_name(self) -> str:
        """The maker's name."""
        return self.probe.name

    @property
    def arch(self) -> str:
        """``"sm_90"``: what images are linked for."""
        return self.probe.arch

    @property
    def memory_types(self) -> tuple[str, ...]:
        """Memory of the device, and of the host that the device reaches."""
        return ("device", "pinned")

    @property
    def memory_bytes(self) -> int:
        """All memory of the device."""
        return self.probe.total_bytes

    @property
    def default_dma_above_bytes(self) -> int:
        """See `DMA_ABOVE_BYTES`."""
        return DMA_ABOVE_BYTES

    @property
    def default_wide_above_bytes(self) -> int:
        """See `WIDE_ABOVE_BYTES`."""
        return WIDE_ABOVE_BYTES

    @property
    def default_pool_limit_bytes(self) -> int:
        """Half of what was free when the device was looked at, at most 8 GiB."""
        return max(64 << 20, min(self.probe.free_bytes // 2, 8 * GIB))

    def array(self, block: tuple[int, int, Any], shape: tuple[int, ...], dtype: Any) -> Any:
        """A CuPy array over a block of this device; it keeps the block's owner alive."""
        address, nbytes, owner = block
        memory = self.cupy.cuda.UnownedMemory(address, nbytes, owner, self.index)
        return self.cupy.ndarray(shape, dtype, self.cupy.cuda.MemoryPointer(memory, 0))

    def stream_address(self, stream: object = None) -> int:
        """Return the address of a stream of this device, on which nothing is captured now.

        Parameters
        ----------
        stream
            CuPy's, PyTorch's, Numba's, any object with ``__cuda_stream__``, or an address; None is
            the one that this thread uses in CuPy at present.

        Raises
        ------
        InvalidOption
            It is no stream, it was destroyed, or a graph is captured on it.
        DeviceLost
            The context is broken.
        """
        runtime = self.cupy.cuda.runtime
        with self.reporting("looking at a stream"), self.cupy.cuda.Device(self.index):
            if stream is None:
                stream = self.cupy.cuda.get_current_stream()
            address = _address_of(stream)
            try:
                captures = runtime.streamIsCapturing(address)
            except runtime.CUDARuntimeError as error:
                status = getattr(error, "status", None)
                if status in _NOT_OURS:
                    raise InvalidOption(
                        f"stream={stream!r} cannot be used: {error}; give a stream of this device "
                        "that lives until the block ends"
                    ) from error
                if status != _CAPTURE_IMPLICIT:
                    raise
                captures = True  # another stream's, which the legacy stream would take part in
        if captures:
            raise InvalidOption(
                f"stream={stream!r} captures a graph: nothing that is queued on it runs before the "
                "graph does; begin and end the capture inside the with block"
            )
        return address

    @contextmanager
    def reporting(self, what: str) -> Iterator[None]:
        """Around calls of CuPy's: what CUDA says becomes an error of ours.

        Raises
        ------
        PoolExhausted
            The device, or the host's pinned memory, has no room.
        DeviceLost
            Anything else: a kernel of this process, ours or not, has broken the context.
        """
        cuda = self.cupy.cuda
        try:
            yield
        except (cuda.runtime.CUDARuntimeError, cuda.driver.CUDADriverError) as error:
            if getattr(error, "status", None) == _OUT_OF_MEMORY:
                raise PoolExhausted(
                    f"{self.device_name} has no memory left for {what} ({error}); release handles, "
                    "free what CuPy keeps (cupy.get_default_memory_pool().free_all_blocks()), or "
                    "look with nvidia-smi for other processes"
                ) from error
            raise DeviceLost(
                f"{what} failed on {self.device_name}: {error}. If every call fails from here on, "
                "a kernel has broken this process's CUDA context: restart the Jupyter kernel (or "
                "process)"
            ) from error

    @property
    def event_driven(self) -> bool:
        """Whether something here cannot bear a kernel that stays: then it never lingers."""
        return self.probe.event_driven


class CudaMemory:
    """What one engine holds on a device: memory, streams, the present image.

    Freed by `close` alone. At exit nothing is freed, for a call could wait for a kernel that never
    ends; the process's end gives everything back.
    """

    def __init__(self, driver: CudaDriver) -> None:
        self._driver = driver
        self._runtime = driver.cupy.cuda.runtime
        self._pinned: list[int] = []
        self._device: list[int] = []
        self._modules: list[Any] = []  # the newest last
        self._lock = threading.Lock()
        with self._current("the context and its streams"):
            self._runtime.free(0)  # makes the context
            self.context = int(driver.cupy.cuda.driver.ctxGetCurrent())
            self.ring_stream = int(
                self._runtime.streamCreateWithPriority(
                    self._runtime.streamNonBlocking, _MOST_URGENT
                )
            )
            self.work_streams = [
                int(self._runtime.streamCreateWithFlags(self._runtime.streamNonBlocking))
                for _ in range(WORK_STREAMS)
            ]

    @contextmanager
    def _current(self, what: str) -> Iterator[None]:
        """Our device; and what may not be called while a stream captures may be called here.

        The capture of this thread, or of any other if it is a global one, would end with an error.
        Nothing below uses the legacy stream or synchronizes the device, which no mode allows.
        """
        before = _native.relax_capture(self._driver.library)
        try:
            with self._driver.reporting(what), self._driver.cupy.cuda.Device(self._driver.index):
                yield
        finally:
            _native.restore_capture(before, self._driver.library)

    def allocate(self, sizes: Mapping[str, int]) -> dict[str, int]:
        """Zeroed memory for an engine's regions (`Engine.memory_bytes`), by name."""
        regions = {name: self.pinned(sizes[name]) for name in _PINNED}
        regions |= {name: self.device(sizes[name]) for name in _DEVICE}
        return regions

    def pinned(self, nbytes: int) -> int:
        """Zeroed host memory that every device reaches at the same address."""
        runtime = self._runtime
        flags = runtime.hostAllocPortable | runtime.hostAllocMapped
        with self._current(f"{nbytes:,} bytes of pinned host memory"), self._lock:
            address = int(runtime.hostAlloc(nbytes, flags))
            self._pinned.append(address)
        ctypes.memset(address, 0, nbytes)
        return address

    def device(self, nbytes: int) -> int:
        """Zeroed memory of the device; done when this returns."""
        with self._current(f"{nbytes:,} bytes of device memory"), self._lock:
            address = int(self._runtime.malloc(nbytes))
            self._device.append(address)
            self._runtime.memsetAsync(address, 0, nbytes, self.ring_stream)
            self._runtime.streamSynchronize(self.ring_stream)
        return address

    def load(self, cubin: bytes, entries: Sequence[str]) -> list[int]:
        """Load an image; the addresses of its entry points, the ring kernel's first.

        Those of the image before stay good until `drop_older`: whoever launches gets the new ones
        first.
        """
        cuda = self._driver.cupy.cuda
        with self._current(f"an image of {len(cubin):,} bytes"), self._lock:
            module = cuda.Module()
            module.load(cubin)
            # Asked for here, so that lazy loading does its work now and not at the first launch.
            functions = [int(module.get_function(name).ptr) for name in entries]
            cuda.driver.funcGetAttribute(cuda.driver.CU_FUNC_ATTRIBUTE_NUM_REGS, functions[0])
            _keep(module)
            self._modules.append(module)
        return functions

    def drop_older(self) -> None:
        """Unload all images but the newest; nothing launches from them any more."""
        with self._current("unloading an image"), self._lock:
            if len(self._modules) > 1:
                # The last launch has said that it is over, which is not yet its end.
                self._finish_streams()
            while len(self._modules) > 1:
                _drop(self._modules.pop(0))

    def _finish_streams(self) -> None:
        for stream in (self.ring_stream, *self.work_streams):
            self._runtime.streamSynchronize(stream)

    def close(self) -> None:
        """Give everything back; the engine's last launch has ended.

        In a context that some kernel has broken nothing can be given back: the process's end does.
        """
        with suppress(DeviceLost), self._current("giving memory back"), self._lock:
            if not self.ring_stream:
                return
            self._finish_streams()
            while self._modules:
                _drop(self._modules.pop())
            while self._device:
                self._runtime.free(self._device.pop())
            while self._pinned:
                self._runtime.freeHost(self._pinned.pop())
            for stream in (self.ring_stream, *self.work_streams):
                self._runtime.streamDestroy(stream)
            self.ring_stream, self.work_streams = 0, []


def _address_of(stream: object) -> int:
    if isinstance(stream, int) and not isinstance(stream, bool):
        return stream
    protocol = getattr(stream, "__cuda_stream__", None)
    if callable(protocol):
        return int(protocol()[1])
    for name in ("ptr", "cuda_stream", "handle"):  # CuPy, PyTorch, Numba
        found = getattr(stream, name, None)
        if found is not None:
            return int(getattr(found, "value", found) or 0)
    raise InvalidOption(
        f"stream={stream!r} is a {type(stream).__name__}: give a stream of CuPy, PyTorch or Numba, "
        "an object with __cuda_stream__, or an address"
    )


# A module that is collected at exit would be unloaded, which waits for the device.
def _keep(module: object) -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(module))


def _drop(module: object) -> None:
    ctypes.pythonapi.Py_DecRef(ctypes.py_object(module))
