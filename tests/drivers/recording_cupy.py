"""A double of CuPy that records what is asked of it; behind its addresses there is no memory."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class NoMemoryHere(Exception):
    """Somebody read or wrote through an address of the double."""


class CudaError(RuntimeError):
    """As CuPy's `CUDARuntimeError` and `CUDADriverError`: with the number in ``status``."""

    def __init__(self, status: int) -> None:
        super().__init__(f"cudaError {status}")
        self.status = status


class RecordingCupy:
    """Hands out addresses that lead nowhere, and refuses everything that would need memory."""

    def __init__(self, *, devices: int = 1, major: int = 9, minor: int = 0, **attributes: int):
        self.calls: list[tuple[Any, ...]] = []
        self._next = 1 << 40
        known = {"UnifiedAddressing": 1, "CanMapHostMemory": 1, "ClockRate": 1_980_000} | attributes
        numbers = {name: number for number, name in enumerate(known)}
        runtime = SimpleNamespace(
            CUDARuntimeError=CudaError,
            hostAllocPortable=1,
            hostAllocMapped=2,
            streamNonBlocking=1,
            getDeviceCount=lambda: devices,
            getDeviceProperties=lambda _index: {
                "name": b"Recorded GPU",
                "major": major,
                "minor": minor,
                "uuid": bytes(range(16)),
                "multiProcessorCount": 4,
            },
            memGetInfo=lambda: (3 << 30, 4 << 30),
            deviceGetPCIBusId=lambda _index: "0000:01:00.0",
            driverGetVersion=lambda: 13000,
            runtimeGetVersion=lambda: 13000,
            deviceGetAttribute=lambda number, _index: list(known.values())[number],
            malloc=lambda size: self._address("malloc", size),
            hostAlloc=lambda size, flags: self._address("hostAlloc", size, flags),
            streamCreateWithPriority=lambda *given: self._address("stream", *given),
            streamCreateWithFlags=lambda flags: self._address("stream", flags),
            **{f"cudaDevAttr{name}": number for name, number in numbers.items()},
        )
        for name in (
            "free",
            "freeHost",
            "memsetAsync",
            "streamDestroy",
            "streamSynchronize",
        ):
            setattr(runtime, name, lambda *given, name=name: self.calls.append((name, *given)))
        driver = SimpleNamespace(
            CUDADriverError=CudaError,
            CU_FUNC_ATTRIBUTE_NUM_REGS=4,
            ctxGetCurrent=lambda: 77,
            funcGetAttribute=lambda *given: self.calls.append(("attribute", *given)),
        )
        self.cuda = SimpleNamespace(
            runtime=runtime,
            driver=driver,
            Device=lambda index: _Device(self, index),
            Module=self._module,
        )

    def _address(self, what: str, *given: Any) -> int:
        self._next += 1 << 20
        self.calls.append((what, *given, self._next))
        return self._next

    def _module(self) -> Any:
        return _Module(self)

    def ndarray(self, *_given: Any, **_options: Any) -> Any:
        """Refuse: the double has no arrays."""
        raise NoMemoryHere("the double has no array memory to read or write")

    asnumpy = array = zeros = empty = ndarray


class _Device:
    def __init__(self, cupy: RecordingCupy, index: int) -> None:
        self._cupy, self._index = cupy, index

    def __enter__(self) -> None:
        self._cupy.calls.append(("device", self._index))

    def __exit__(self, *_exc: object) -> None:
        self._cupy.calls.append(("device before",))


class _Module:
    def __init__(self, cupy: RecordingCupy) -> None:
        self._cupy = cupy

    def __del__(self) -> None:
        self._cupy.calls.append(("unload",))

    def load(self, cubin: bytes) -> None:
        self._cupy.calls.append(("load", cubin))

    def get_function(self, name: str) -> Any:
        return SimpleNamespace(ptr=self._cupy._address("function", name))
