"""An engine on a GPU: its memory, its image, and the quiesced windows in which both change."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from gpures_lab.drivers.cuda import CudaMemory
from gpures_lab.errors import CompileError, DeviceLost, DriverUnavailable, PoolExhausted

if TYPE_CHECKING:
    from gpures_lab._core import _native
    from gpures_lab.drivers.cuda import CudaDriver
    from gpures_lab.kernels.cuda.device_kernel import DeviceKernel
    from gpures_lab.kernels.cuda.image import Image

__all__ = ["DeviceEngine"]

_PINNED_ARENA = 1
_started: weakref.WeakSet[DeviceEngine] = weakref.WeakSet()
_started_lock = threading.Lock()
_unusable: set[int] = set()  # devices on which a launch of this process never ended


class DeviceEngine:
    """What the manager adds to a native engine whose workers are on a device."""

    def __init__(
        self,
        engine: _native.Engine,
        driver: CudaDriver,
        quiesced: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._engine = engine
        self._driver = driver
        self._quiesced = quiesced
        self._library = {} if driver.library is None else {"library": driver.library}
        self._kernels: dict[int, DeviceKernel] = {}
        self.left_out: Mapping[int, str] = {}
        self._memory: CudaMemory | None = None
        self._lock = threading.RLock()

    def start(self) -> None:
        """Give the engine its memory and its first image; once, at the first message.

        Raises
        ------
        DriverUnavailable
            The driver library or the compilers are missing.
        """
        with self._lock:
            if self._memory is not None:
                return
            self._check_usable()
            image = self._link(self._kernels)
            try:
                self._memory = self._prepare(image)
            except (DeviceLost, PoolExhausted) as error:
                raise DriverUnavailable(f"the ring cannot be set up: {error}") from error
            with _started_lock:
                _started.add(self)

    def _prepare(self, image: Image) -> CudaMemory:
        from gpures_lab.kernels.cuda.image import ring_threads

        memory = CudaMemory(self._driver)
        try:
            # First all that can fail: what an engine was given once is never taken from it.
            regions = memory.allocate(self._engine.memory_bytes())
            (ring_kernel,) = memory.load(image.cubin, [image.ring_entry])
            why = self._engine.attach_cuda(
                memory=regions,
                context=memory.context,
                ring_stream=memory.ring_stream,
                work_streams=memory.work_streams,
                multiprocessors=self._driver.probe.multiprocessors,
                ring_threads=ring_threads(),
                **self._library,
            )
        except BaseException:
            memory.close()
            raise
        if why:
            memory.close()
            raise DriverUnavailable(f"the CUDA driver cannot be used: {why}")
        self._engine.use_kernel(ring_kernel, [])
        return memory

    def _check_usable(self) -> None:
        """Refuse a device that would keep the caller waiting for ever.

        Memory and images wait for the kernels that run, and one of this process never ends.
        """
        index = self._driver.index
        with _started_lock:
            started = list(_started)
        if index in _unusable or any(
            each._driver.index == index and each._engine.state == "FAILED" for each in started
        ):
            raise DriverUnavailable(
                f"device 'cuda:{index}' cannot be used by this process any more: a launch on it "
                "never ended, or its context is lost. Restart the Jupyter kernel (or process); "
                "device='host' works",
                device=f"cuda:{index}",
            )

    def adopt(self, kernel_id: int, kernel: DeviceKernel) -> None:
        """Link a kernel into the image, and have the next launch run it.

        Linking goes on beside the ring; only loading parks it.
        """
        with self._lock:
            self.start()
            if kernel_id in self._kernels:
                return
            kernels = {**self._kernels, kernel_id: kernel}
            image = self._link(kernels)
            memory = self._present
            with self._quiesced():
                ring_kernel, *wide_entries = memory.load(
                    image.cubin, [image.ring_entry, *image.wide_entries.values()]
                )
                refused = self._engine.use_kernel(ring_kernel, [kernel_id])
                self._engine.use_wide(
                    [
                        (
                            number,
                            entry,
                            number in image.any_blocks,
                            number in image.kernel_ids,
                            image.plans.get(number, 0),
                        )
                        for number, entry in zip(image.wide_entries, wide_entries, strict=True)
                        if number != refused
                    ]
                )
                memory.drop_older()
            self.left_out = image.left_out
            if refused >= 0:
                raise DeviceLost(
                    f"kernel {kernel.name} was not taken by the device: "
                    f"{self._engine.device_error or 'its table of kernels is full'}"
                )
            self._kernels = kernels

    def grow(self, arena: int, nbytes: int) -> None:
        """Give the pool's arena so many bytes more."""
        with self._lock, self._quiesced():
            pinned = arena == _PINNED_ARENA
            address = self._present.pinned(nbytes) if pinned else self._present.device(nbytes)
            self._engine.add_memory(arena, address, nbytes)

    def close(self, *, ended: bool) -> None:
        """Free the memory if no launch can touch it any more; else it stays for good."""
        with self._lock:
            if ended:
                with _started_lock:
                    _started.discard(self)
            if self._memory is not None and ended:
                self._engine.free_events()
                self._memory.close()
            elif self._memory is not None and self._engine.state == "FAILED":
                # Not what is only late, behind others' kernels: that ends by itself.
                _unusable.add(self._driver.index)
            self._memory = None

    @property
    def _present(self) -> CudaMemory:
        assert self._memory is not None, "started by the first message"
        return self._memory

    def why_wide_only(self, kernel_id: int) -> CompileError:
        """Return the error of a program or a batch that wants what only a plain launch runs."""
        name = self._kernels[kernel_id].name
        return CompileError(
            f"kernel {name} is too heavy for the ring on {self._driver.arch}: "
            f"{self.left_out[kernel_id]}; grain.compute() runs it as a plain launch, but no "
            "program and no batch can hold it: split it, or call compute() in a loop",
            kernel=name,
        )

    def _link(self, kernels: dict[int, DeviceKernel]) -> Image:
        from gpures_lab.kernels.cuda.image import link_image  # the compilers, at first use

        return link_image(kernels, self._driver.arch)


def start_device(manager: Any) -> None:
    """Start the device of a manager, for the native binding."""
    manager._device.start()


def wide_only(manager: Any, kernel_id: int) -> CompileError:
    """Return the error of a step or a row that no ring runs, for the native binding."""
    error: CompileError = manager._device.why_wide_only(kernel_id)
    return error


def grow_arena(manager: Any, arena: int, nbytes: int) -> None:
    """Give an arena more memory, for the native binding."""
    manager._device.grow(arena, nbytes)


def adopt_kernel(  # noqa: PLR0917 - called by position from native code
    manager: Any,
    kernel: Any,
    kernel_id: int,
    inputs: int,
    arrays: tuple[Any, ...],
    same: tuple[int, ...],
    values: tuple[Any, ...],
    checked: bool,
) -> None:
    """Compile a call's kernel for the manager's device and link it in, for the native binding."""
    manager._device.adopt(kernel_id, kernel._for_device(inputs, arrays, same, values, checked))
