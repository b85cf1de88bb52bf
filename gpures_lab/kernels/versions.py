"""What the native registry keeps for each kernel id: enough to compile the same for a device."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpures_lab._core import _native
from gpures_lab.kernels.catalogue import LibraryRow
from gpures_lab.kernels.signature import HostCode, Signature

if TYPE_CHECKING:
    from gpures_lab.kernels.cuda.device_kernel import DeviceKernel
    from gpures_lab.kernels.definition import Kernel

__all__ = ["LibraryVersion", "UserVersion", "device_kernels"]


@dataclass(frozen=True, slots=True)
class UserVersion:
    """A user's kernel for one signature; holds the host's machine code alive."""

    kernel: Kernel
    signature: Signature
    code: HostCode

    def device(self) -> DeviceKernel:
        """Compile, or find, the same for devices."""
        from gpures_lab.kernels.cuda.compilation import compile_device

        return compile_device(self.kernel, self.signature)


@dataclass(frozen=True, slots=True)
class LibraryVersion:
    """A row of the native table, and the C++ type that it runs."""

    row: LibraryRow
    cpp_type: str

    def device(self) -> DeviceKernel:
        """Compile, or find, the same for devices."""
        from gpures_lab.kernels.cuda.library_kernel import compile_library

        return compile_library(self.row, self.cpp_type)


def device_kernels(ids: Collection[int]) -> dict[int, DeviceKernel]:
    """The kernels of these ids, compiled for devices: what `link_image` takes.

    Raises
    ------
    CompileError
        One of them was refused; its message names the kernel.
    DriverUnavailable
        The CUDA compilers are not installed.
    """
    return {number: _native.kernel_owner(number).device() for number in sorted(ids)}
