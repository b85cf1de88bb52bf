"""Kernels: front ends for Python and C++ bodies, compile cache, machine code for the host.

Reading a body needs neither Numba nor a compiler; both come in at the first compile.

The names come in at their first use, so that `%load_ext` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gpures_lab.kernels.binding import Binding, bind
    from gpures_lab.kernels.cache import CacheCounters
    from gpures_lab.kernels.compilation import cache_counters, compile_host, forget_compiled
    from gpures_lab.kernels.definition import (
        Kernel,
        cpp_kernel,
        kernel,
        kernel_from_source,
        reduction,
    )
    from gpures_lab.kernels.listing import KernelListing, library_kernels
    from gpures_lab.kernels.markers import fma
    from gpures_lab.kernels.signature import ArraySpec, HostCode, ParamSpec, Signature

__all__ = [
    "ArraySpec",
    "Binding",
    "CacheCounters",
    "HostCode",
    "Kernel",
    "KernelListing",
    "ParamSpec",
    "Signature",
    "bind",
    "cache_counters",
    "compile_host",
    "cpp_kernel",
    "fma",
    "forget_compiled",
    "kernel",
    "kernel_from_source",
    "library_kernels",
    "reduction",
]

_HOME_OF: Final = {
    "Binding": "binding",
    "bind": "binding",
    "CacheCounters": "cache",
    "cache_counters": "compilation",
    "compile_host": "compilation",
    "forget_compiled": "compilation",
    "Kernel": "definition",
    "cpp_kernel": "definition",
    "kernel": "definition",
    "kernel_from_source": "definition",
    "reduction": "definition",
    "KernelListing": "listing",
    "library_kernels": "listing",
    "fma": "markers",
    "ArraySpec": "signature",
    "HostCode": "signature",
    "ParamSpec": "signature",
    "Signature": "signature",
}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value  # from now on an ordinary attribute
    return value
