"""A double of CuPy over the double of libcuda (tests/native/fake_cuda).

The addresses of the engine's own device memory have no access rights: code of the host that reads
through one crashes the process. (The rest has, for kernels are functions of the host and take
addresses as they are.) The cubins that are loaded are real too, and nothing runs them: a launch
runs the serve loop and the library's kernels as they were compiled for the host. Plain launches in
passes run so in the first one, except the kernels of passes.cpp, which are the device's code.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from gpures_lab.kernels.cuda.image import RING_ENTRY
from gpures_lab.kernels.identity import digest
from gpures_lab.kernels.library import library
from tests.drivers.recording_cupy import CudaError, RecordingCupy

__all__ = ["NAME", "CupyDouble"]

NAME = "TEST DOUBLE of libcuda: CPU threads, no GPU"


class Counts(ctypes.Structure):
    """Mirror of ``FakeCounts``."""

    _fields_ = [
        (name, ctypes.c_ulonglong)
        for name in ("calls", "launches", "wide_launches", "wrong_context", "in_capture")
    ]


class CupyDouble(RecordingCupy):
    """What `CudaDriver` asks of CuPy, with the memory and streams of the double."""

    def __init__(self, path: str, passes: str) -> None:
        super().__init__()
        self.native = ctypes.CDLL(path)
        self._passes = ctypes.CDLL(passes)
        self._passes.in_passes_of.restype = ctypes.c_void_p
        makers = ("wide_kernel", "wide_kernel_in_passes")
        for name in ("context", "stream", "load_ring_kernel", "device_memory", *makers):
            getattr(self.native, f"fake_cuda_{name}").restype = ctypes.c_void_p
        for name in makers:
            maker = getattr(self.native, f"fake_cuda_{name}")
            maker.argtypes = [ctypes.c_void_p, *[ctypes.c_uint] * 3]
        self.native.fake_cuda_unload.argtypes = [ctypes.c_void_p]
        self.native.fake_cuda_counts.restype = Counts
        self.native.fake_cuda_device_memory.argtypes = [ctypes.c_size_t]
        self.native.fake_cuda_synchronize.argtypes = [ctypes.c_void_p]
        self.wide: dict[str, tuple[int, int, int, int]] = {}
        self._in_passes: dict[str, int] = {}
        for row, native in self._rows():
            plain = row.name.rpartition("/")[2]
            entry = f"wide_gpures_{plain}_{digest(native['type'])[:16]}"
            self.wide[entry] = (
                native["address"],
                sum(p == first for p, first in enumerate(row.same)),
                sum(max(row.ndims[p], 1) for p, first in enumerate(row.same) if p == first),
                sum(2 if dtype == "complex128" else 1 for dtype in row.param_dtypes),
            )
            code = self._passes.in_passes_of(native["type"].encode())
            if code:
                self._in_passes[entry] = code
        self.modes: set[int] = set()  # of the threads that allocated, loaded or unloaded
        self.refused: dict[str, int] = {}  # by function: the error that the next call gives
        self.newest_image = b""
        self._own = 0
        self._pinned: dict[int, mmap.mmap] = {}
        properties = self.cuda.runtime.getDeviceProperties(0) | {"name": NAME.encode()}
        for name, function in {
            "getDeviceProperties": lambda _index: properties,
            "malloc": self._malloc,
            "memsetAsync": self._memset,
            "hostAlloc": self._host_alloc,
            "free": self._free,
            "freeHost": self._free,
            "streamCreateWithPriority": self._begin,
            "streamCreateWithFlags": lambda *_: self.native.fake_cuda_stream(),
            "streamSynchronize": self.native.fake_cuda_synchronize,
        }.items():
            setattr(self.cuda.runtime, name, self._refusing(name, function))
        self.cuda.driver.ctxGetCurrent = self.native.fake_cuda_context
        present = SimpleNamespace(ptr=int(self.native.fake_cuda_stream()))
        self.cuda.get_current_stream = lambda: present
        self.cuda.UnownedMemory = lambda address, size, owner, _device: (address, size, owner)
        self.cuda.MemoryPointer = lambda memory, _offset: memory

    def _refusing(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            self._check(name)
            return function(*given)

        return call

    def _check(self, name: str) -> None:
        """As every call of CUDA's does, after an error that sticks to the context."""
        error = self.refused.pop(name, 0) or self.native.fake_cuda_error()
        if error:
            raise CudaError(error)

    @staticmethod
    def _rows() -> list[tuple[Any, dict[str, Any]]]:
        library.fill()
        rows = [row for operation in library.catalogue for row in operation.rows]
        return [(row, library.native(row)) for row in rows]

    def _begin(self, _flags: int, _priority: int) -> int:
        self._own = 1  # the workers' tables come first
        return int(self.native.fake_cuda_stream())

    def _malloc(self, size: int) -> int:
        self._own -= 1
        if self._own >= 0:
            return int(self.native.fake_cuda_device_memory(size))
        return self._host_alloc(size, 0)

    def _memset(self, _address: int, value: int, _size: int, _stream: int) -> None:
        assert value == 0, "the double's device memory is zero from the start, and nothing else"
        self._note_mode()

    def _note_mode(self) -> None:
        self.modes.add(self.native.fake_cuda_capture_mode())

    def _host_alloc(self, size: int, _flags: int) -> int:
        self._note_mode()
        memory = mmap.mmap(-1, size)
        # The driver's mappings are not a forked child's.
        memory.madvise(mmap.MADV_DONTFORK)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self._pinned[address] = memory
        return address

    def _free(self, address: int) -> None:
        self.calls.append(("free", address))
        if address in self._pinned:  # not the engine's own, and not what only makes the context
            self._pinned[address].madvise(mmap.MADV_REMOVE)  # mapped still: no late write crashes

    def _module(self) -> Any:
        return _Module(self)

    def ndarray(self, shape: Any, dtype: Any, pointer: Any) -> Any:
        """A view of memory that is not the engine's own: the host's, here."""
        address, size, owner = pointer
        memory = (ctypes.c_char * size).from_address(address)
        memory.owner = owner  # as CuPy's arrays keep it
        return np.frombuffer(memory, dtype, int(np.prod(shape))).reshape(shape)

    def entry(self, name: str) -> int:
        """Address of an entry point, good until its module is unloaded."""
        if name == RING_ENTRY:
            return int(self.native.fake_cuda_load_ring_kernel())
        if name in self._in_passes:
            counts = self.wide[name][1:]
            return int(self.native.fake_cuda_wide_kernel_in_passes(self._in_passes[name], *counts))
        if name in self.wide:
            return int(self.native.fake_cuda_wide_kernel(*self.wide[name]))
        return 1  # a user's kernel has no host version here: its launch would be refused


class _Module:
    def __init__(self, double: CupyDouble) -> None:
        self._double = double
        self._cubin = b""
        self._entries: list[int] = []

    def __del__(self) -> None:
        self._double._note_mode()
        for entry in self._entries:
            self._double.native.fake_cuda_unload(entry)

    def load(self, cubin: bytes) -> None:
        assert cubin.startswith(b"\x7fELF")
        self._double._check("load")
        self._double._note_mode()
        self._cubin = cubin
        self._double.newest_image = cubin

    def get_function(self, name: str) -> Any:
        assert name.encode() in self._cubin, f"the image has no {name}"
        self._double._check("get_function")
        self._entries.append(self._double.entry(name))
        return SimpleNamespace(ptr=self._entries[-1], module=self)  # as CuPy's keeps it
