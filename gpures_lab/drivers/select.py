"""Which driver a manager gets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

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
        ``"auto"`` (CUDA if it can be used, else the host), ``"host"``, ``"cuda"``, ``"cuda:N"``.
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
        return HostDriver.probe(_why_not_cuda(find()))
    if _CUDA.fullmatch(device):
        raise DriverUnavailable(
            f"device {device!r} cannot be used: {_why_not_cuda(find())}. "
            "device='host' works today: the same API on CPU threads",
            device=device,
        )
    raise InvalidOption(
        f"device={device!r} names no device; "
        "use 'auto', 'host', 'cuda' or 'cuda:N' (N a device number)",
        name="device",
        value=device,
    )


def _why_not_cuda(nvidia: NvidiaDriver | None) -> str:
    if nvidia is None:
        return "this release has no CUDA driver yet, and no NVIDIA driver was found"
    version = f" {nvidia.version}" if nvidia.version else ""
    return f"this release has no CUDA driver yet (NVIDIA driver{version} found)"
