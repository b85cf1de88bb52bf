"""Kernels: front ends for Python and C++ bodies, compile cache, machine code for the host.

Reading a body needs neither Numba nor a compiler; both come in at the first compile.
"""

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
from gpures_lab.kernels.markers import fma
from gpures_lab.kernels.signature import ArraySpec, HostCode, ParamSpec, Signature

__all__ = [
    "ArraySpec",
    "Binding",
    "CacheCounters",
    "HostCode",
    "Kernel",
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
    "reduction",
]
