"""What a CUDA device and this process are like, and what of it a ring kernel cannot bear."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gpures_lab.drivers.cuda_hazards import Hazard, hazards_of_device, hazards_of_process
from gpures_lab.drivers.nvidia import find_nvidia_driver
from gpures_lab.errors import DriverUnavailable

__all__ = ["CONNECTIONS", "Probe", "probe_device"]

CONNECTIONS: Final = "CUDA_DEVICE_MAX_CONNECTIONS"
OLDEST_ARCH: Final = 70
"""Volta: the first whose threads make progress on their own, and with the scoped loads we use."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One device as it was found.

    Attributes
    ----------
    name, arch, uuid
        Who it is; the UUID names it however the process numbers its devices.
    total_bytes, free_bytes
        Of its memory, free when it was looked at.
    multiprocessors
        How many.
    driver_version
        As CUDA numbers it: 13000 is 13.0.
    hazards
        What stands in a ring kernel's way here, each with a cure.
    """

    name: str
    arch: str
    uuid: str
    total_bytes: int
    free_bytes: int
    multiprocessors: int
    driver_version: int
    hazards: tuple[Hazard, ...]

    @property
    def event_driven(self) -> bool:
        """Whether one of the hazards forbids lingering."""
        return any(hazard.event_driven for hazard in self.hazards)


def probe_device(
    index: int, cupy: Any = None, environ: Mapping[str, str] | None = None
) -> tuple[Probe, Any]:
    """Look at device ``index``; also the CuPy that sees it.

    Raises
    ------
    DriverUnavailable
        With the cure: what to install, or which devices there are.
    """
    environ = os.environ if environ is None else environ
    if cupy is None:
        # Before CUDA starts in this process: streams share this many hardware queues, and a user's
        # stream on the ring's queue would wait behind it.
        os.environ.setdefault(CONNECTIONS, "32")
        cupy = _import_cupy()
    runtime = cupy.cuda.runtime
    try:
        count = int(runtime.getDeviceCount())
    except Exception as error:
        raise DriverUnavailable(f"CUDA does not start: {error}; see gpures_lab.status()") from error
    if not 0 <= index < count:
        raise DriverUnavailable(
            f"device 'cuda:{index}' is not there: CUDA sees {count} device(s), "
            f"'cuda:0' to 'cuda:{count - 1}'",
            device=f"cuda:{index}",
        )
    try:
        return _look(cupy, index, environ), cupy
    except runtime.CUDARuntimeError as error:
        raise DriverUnavailable(
            f"device 'cuda:{index}' does not answer ({error}): if a kernel has broken this "
            "process's CUDA context, restart the Jupyter kernel (or process)",
            device=f"cuda:{index}",
        ) from error


def _look(cupy: Any, index: int, environ: Mapping[str, str]) -> Probe:
    runtime = cupy.cuda.runtime
    properties = runtime.getDeviceProperties(index)
    major, minor = int(properties["major"]), int(properties["minor"])
    if major * 10 + minor < OLDEST_ARCH:
        raise DriverUnavailable(
            f"device 'cuda:{index}' is sm_{major}{minor}; ring kernels need sm_{OLDEST_ARCH} or "
            "newer. device='host' works"
        )
    asked = _Attributes(runtime, index)
    if not (asked["UnifiedAddressing"] and asked["CanMapHostMemory"]):
        raise DriverUnavailable(
            f"device 'cuda:{index}' has no unified addressing or cannot map host memory, so it "
            "cannot share a ring with the host; device='host' works"
        )
    with cupy.cuda.Device(index):
        free, total = (int(n) for n in runtime.memGetInfo())
    bus_id = _text(runtime.deviceGetPCIBusId(index))
    hazards: Iterator[Hazard] = (
        hazard
        for found in (hazards_of_process(environ), hazards_of_device(asked, bus_id))
        for hazard in found
    )
    return Probe(
        name=_text(properties["name"]),
        arch=f"sm_{major}{minor}",
        uuid=_uuid(properties.get("uuid", b"")),
        total_bytes=total,
        free_bytes=free,
        multiprocessors=int(properties["multiProcessorCount"]),
        driver_version=int(runtime.driverGetVersion()),
        hazards=tuple(hazards),
    )


def _import_cupy() -> Any:
    try:
        return importlib.import_module("cupy")
    except ImportError as error:
        nvidia = find_nvidia_driver()
        extra = nvidia.extra if nvidia is not None else "cuda13"
        raise DriverUnavailable(
            f"CuPy cannot be imported ({error}): pip install 'gpures_lab[{extra}]'", extra=extra
        ) from error


class _Attributes(dict[str, int]):
    """Attributes of a device by CUDA's names, asked for once; 0 where the driver knows none."""

    def __init__(self, runtime: Any, index: int) -> None:
        super().__init__()
        self._runtime, self._index = runtime, index

    def __missing__(self, name: str) -> int:
        number = getattr(self._runtime, f"cudaDevAttr{name}", None)
        try:
            value = (
                0 if number is None else int(self._runtime.deviceGetAttribute(number, self._index))
            )
        except self._runtime.CUDARuntimeError:
            value = 0
        self[name] = value
        return value


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _uuid(value: object) -> str:
    if not isinstance(value, bytes) or len(value) != 16:
        return ""
    text = value.hex()
    return f"GPU-{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
