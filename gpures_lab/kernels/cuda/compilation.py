"""``compile_device``: a kernel and a call's signature to LTO-IR, through both caches."""

from __future__ import annotations

from gpures_lab.kernels.compilation import binding_of
from gpures_lab.kernels.cuda.cpp_kernel import compile_cpp_kernel
from gpures_lab.kernels.cuda.device_kernel import DeviceKernel
from gpures_lab.kernels.cuda.python_kernel import compile_python_kernel
from gpures_lab.kernels.definition import Kernel
from gpures_lab.kernels.signature import Signature

__all__ = ["compile_device"]


def compile_device(kernel: Kernel, signature: Signature) -> DeviceKernel:
    """Compile ``kernel`` for devices; needs neither a GPU nor a driver.

    Raises
    ------
    CompileError
        The body was refused or its compiler failed; the message shows the user's line.
    DtypeMismatch
        A C++ kernel declares other dtypes.
    InvalidOption
        The signature does not fit the kernel's parameters.
    DriverUnavailable
        The CUDA compilers are not installed.
    """
    names = binding_of(kernel, signature).arrays
    if kernel.language == "cpp":
        return compile_cpp_kernel(kernel, names, signature)
    return compile_python_kernel(kernel, names, signature)
