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
from types import SimpleNamespace
from typing import Any

from gpures_lab.kernels.cuda.image import RING_ENTRY
from gpures_lab.kernels.identity import digest
from gpures_lab.kernels.library import library
from tests.drivers.recording_cupy import RecordingCupy

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
        for name in ("context", "stream", "ring_kernel", "device_memory", *makers):
            getattr(self.native, f"fake_cuda_{name}").restype = ctypes.c_void_p
        for name in makers:
            maker = getattr(self.native, f"fake_cuda_{name}")
            maker.argtypes = [ctypes.c_void_p, *[ctypes.c_uint] * 3]
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
        self.modes: set[int] = set()  # of the threads that allocated or loaded
        self.newest_image = b""
        self._own = 0
        self._entries: dict[str, int] = {}
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
            setattr(self.cuda.runtime, name, function)
        self.cuda.driver.ctxGetCurrent = self.native.fake_cuda_context

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
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self._pinned[address] = memory
        return address

    def _free(self, address: int) -> None:
        self.calls.append(("free", address))
        if address in self._pinned:  # not the engine's own, and not what only makes the context
            self._pinned[address].madvise(mmap.MADV_REMOVE)  # mapped still: no late write crashes

    def _module(self) -> Any:
        return _Module(self)

    def entry(self, name: str) -> int:
        """Address of an entry point, the same for the same name."""
        if name == RING_ENTRY:
            return int(self.native.fake_cuda_ring_kernel())
        if name not in self._entries:
            made = 1  # a user's kernel has no host version here: its launch would be refused
            if name in self._in_passes:
                counts = self.wide[name][1:]
                code = self._in_passes[name]
                made = self.native.fake_cuda_wide_kernel_in_passes(code, *counts)
            elif name in self.wide:
                made = self.native.fake_cuda_wide_kernel(*self.wide[name])
            self._entries[name] = int(made)
        return self._entries[name]


class _Module:
    def __init__(self, double: CupyDouble) -> None:
        self._double = double
        self._cubin = b""

    def load(self, cubin: bytes) -> None:
        assert cubin.startswith(b"\x7fELF")
        self._double._note_mode()
        self._cubin = cubin
        self._double.newest_image = cubin

    def get_function(self, name: str) -> Any:
        assert name.encode() in self._cubin, f"the image has no {name}"
        return SimpleNamespace(ptr=self._double.entry(name))
