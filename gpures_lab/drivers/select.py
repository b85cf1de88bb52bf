"""Which driver a manager gets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from gpures_lab.drivers.cuda import CudaDriver
from gpures_lab.drivers.host import HostDriver
from gpures_lab.drivers.nvidia import NvidiaDriver, find_nvidia_driver
from gpures_lab.errors import DriverUnavailable, InvalidOption

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpures_lab.drivers.driver import Driver

__all__ = ["choose"]

_CUDA: Final = re.compile(r"cuda(:\d{1,4})?")


def choose(device: str, *, find: Callable[[], NvidiaDriver | None] = find_nvidia_driver) -> Driver:
    """Return the driver for ``device``.

    Parameters
    ----------
    device
        ``"auto"`` (the host, until CUDA is measured), ``"host"``, ``"cuda"``, ``"cuda:N"``.
    find
        Looks for an NVIDIA driver; tests pass their own.

    Raises
    ------
    DriverUnavailable
        CUDA was asked for by name and cannot be used. ``"auto"`` never raises it.
    InvalidOption
        ``device`` names no device.
    """
    if device == "host":
        return HostDriver.probe("asked for")
    if device == "auto":
        return HostDriver.probe(_why_the_host(find()))
    if _CUDA.fullmatch(device):
        if find() is None:
            raise _unusable(device, "no NVIDIA driver was found")
        try:
            return CudaDriver.open(int(device.partition(":")[2] or 0), "asked for")
        except DriverUnavailable as error:
            raise _unusable(device, str(error)) from error
    raise InvalidOption(
        f"device={device!r} names no device; "
        "use 'auto', 'host', 'cuda' or 'cuda:N' (N a device number)",
        name="device",
        value=device,
    )


def _why_the_host(nvidia: NvidiaDriver | None) -> str:
    if nvidia is None:
        return "no NVIDIA driver was found"
    # Until a report of a real GPU lies under tests/gpu_reports/, nobody gets it without asking.
    version = f" {nvidia.version}" if nvidia.version else ""
    return (
        f"the CUDA driver has not yet run on a GPU (NVIDIA driver{version} found): "
        "device='cuda' tries it"
    )


def _unusable(device: str, why: str) -> DriverUnavailable:
    return DriverUnavailable(
        f"device {device!r} cannot be used: {why}. "
        "device='host' works: the same API on CPU threads",
        device=device,
    )
