"""GPU-resident grains for Jupyter.

A *grain* owns memory on a device and keeps it there between notebook cells. A *ring kernel*,
launched once, serves the grain's messages, so that an operation costs a message instead of a
kernel launch. A *manager* runs both inside this process.

::

    import numpy as np, gpures_lab as gl

    lab = gl.manager()
    grain = lab.grain("scores")
    x, z = grain.allocate(1024), grain.allocate(1024)
    grain.write(x, np.arange(1024))

    @gl.kernel
    def halve(i, x, z):
        z[i] = 0.5 * x[i]

    grain.compute(halve, inputs=[x], outputs=[z]).result()
    grain.read(z).result()

The map, in the order in which a message travels:

==================  ============================================================================
``magics``          IPython magics, after ``%load_ext gpures_lab``
``grain``           identity, lifecycle, handles, the manager
``kernels``         what ``compute`` runs: Python and C++ front ends, the library, compile cache
``ring``            messages, completions, programs
``metrics``         counters, histograms, history, exports
``views``           figures, the dashboard, the report
``drivers``         where memory and ring kernels live: ``host``, ``cuda``
``_core``           the C++ that both drivers share, the pool among it
``errors``          every exception, drawn as a tree
``options``         what a manager and its rings can be told
``environment``     every ``GPURES_*`` variable
``diagnosis``       what works on this machine (``gl.status()``)
``cli``             the ``gpures-lab`` command
==================  ============================================================================

Everything below is imported at its first use, so ``import gpures_lab`` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gpures_lab.diagnosis import status
    from gpures_lab.errors import (
        Cancelled,
        CheckpointCorrupt,
        CompileError,
        DeviceLost,
        DriverUnavailable,
        DtypeMismatch,
        GpuResError,
        InvalidOption,
        KernelFault,
        OutOfBounds,
        PoolExhausted,
        RingClosed,
        RingFull,
        RingStalled,
        StaleHandle,
        StateConflict,
        UnknownKernel,
    )
    from gpures_lab.grain import (
        Completion,
        ComputeResult,
        Grain,
        GrainManager,
        Program,
        ResidentArray,
        RunResult,
        manager,
        messages,
        serve_metrics,
    )
    from gpures_lab.kernels import Kernel, cpp_kernel, fma, kernel, library_kernels, reduction
    from gpures_lab.metrics import (
        MetricsServer,
        ResidentMemoryMetrics,
        Trace,
        TracedMessage,
        prometheus_text,
    )
    from gpures_lab.options import RingOptions
    from gpures_lab.views import dashboard

__all__ = [
    "Cancelled",
    "CheckpointCorrupt",
    "CompileError",
    "Completion",
    "ComputeResult",
    "DeviceLost",
    "DriverUnavailable",
    "DtypeMismatch",
    "GpuResError",
    "Grain",
    "GrainManager",
    "InvalidOption",
    "Kernel",
    "KernelFault",
    "MetricsServer",
    "OutOfBounds",
    "PoolExhausted",
    "Program",
    "ResidentArray",
    "ResidentMemoryMetrics",
    "RingClosed",
    "RingFull",
    "RingOptions",
    "RingStalled",
    "RunResult",
    "StaleHandle",
    "StateConflict",
    "Trace",
    "TracedMessage",
    "UnknownKernel",
    "cpp_kernel",
    "dashboard",
    "fma",
    "kernel",
    "library_kernels",
    "manager",
    "messages",
    "prometheus_text",
    "reduction",
    "serve_metrics",
    "status",
]

_HOMES: Final = {
    "diagnosis": ("status",),
    "grain": (
        "Completion",
        "ComputeResult",
        "Grain",
        "GrainManager",
        "Program",
        "ResidentArray",
        "RunResult",
        "manager",
        "messages",
        "serve_metrics",
    ),
    "kernels": ("Kernel", "cpp_kernel", "fma", "kernel", "library_kernels", "reduction"),
    "metrics": (
        "MetricsServer",
        "ResidentMemoryMetrics",
        "Trace",
        "TracedMessage",
        "prometheus_text",
    ),
    "options": ("RingOptions",),
    "views": ("dashboard",),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name == "__version__":
        # Asked of the installation, so that pyproject.toml stays the only place that says it.
        from importlib.metadata import version

        value: object = version("gpures_lab")
    elif name in _HOME_OF:
        value = getattr(import_module(f"gpures_lab.{_HOME_OF[name]}"), name)
    elif name in __all__:  # the exceptions: everything that has no other home
        value = getattr(import_module("gpures_lab.errors"), name)
    else:
        raise AttributeError(f"module 'gpures_lab' has no attribute {name!r}")
    globals()[name] = value  # from now on an ordinary attribute
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def load_ipython_extension(shell: object) -> None:
    """Serve ``%load_ext gpures_lab``."""
    from gpures_lab.magics import load

    load(shell)


def unload_ipython_extension(shell: object) -> None:
    """Serve ``%unload_ext gpures_lab``."""
    from gpures_lab.magics import unload

    unload(shell)
