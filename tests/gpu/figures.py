"""One figure a call, as one line of JSON: ``python -m tests.gpu.figures NAME``.

Each runs in a process of its own, so that one hang or fault costs one row. Every result is checked.
"""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import gpures_lab as gl
from gpures_lab._core import _native
from tests.gpu.beside import cost_to_others, idle_exit, lease_and_synchronize
from tests.gpu.crossover import dma, wide, wide_against_cupy
from tests.gpu.loops import classic_loop, classic_loop_on_four, eight_rings
from tests.gpu.measure import COUNT, LIMIT_S, WARM, summary, timed
from tests.gpu.variants import poll_variants

__all__ = ["FIGURES", "main"]

HERE = Path(__file__).parent
NOOPS = 200_000


def floors() -> dict[str, Any]:
    """The bare flag and the slot ping-pong."""
    import cupy

    module = cupy.RawModule(code=(HERE / "floor.cu").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "floor.so"
        subprocess.run(
            [
                "c++",
                "-std=c++20",
                "-O3",
                "-shared",
                "-fPIC",
                "-o",
                library,
                HERE / "floor_host.cpp",
            ],
            check=True,
        )
        host = ctypes.CDLL(str(library))
    host.ping_pong.restype = ctypes.c_ulonglong
    found: dict[str, Any] = {}
    for name, words in (("flag", 0), ("slot", 7)):
        memory = cupy.cuda.PinnedMemory(4096, 3)
        ctypes.memset(memory.ptr, 0, 4096)
        spans = np.zeros(WARM + COUNT, np.uint64)
        kernel = module.get_function(f"{name}_floor")
        with cupy.cuda.Stream(non_blocking=True):
            back = memory.ptr + 1024
            kernel((1,), (1,), (np.uint64(memory.ptr), np.uint64(back), np.uint64(spans.size)))
            done = host.ping_pong(
                ctypes.c_void_p(memory.ptr),
                ctypes.c_void_p(back),
                ctypes.c_ulonglong(spans.size),
                words,
                ctypes.c_void_p(spans.ctypes.data),
            )
        cupy.cuda.Device().synchronize()
        found[name] = summary(spans[WARM:done])
    # Beyond it the machine was not itself, and nothing may be compared with it.
    found["void"] = found["flag"]["p50_ns"] > 4_000
    return found


def noop_native() -> dict[str, Any]:
    """Noop post and wait, native."""
    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()
        grain.ping().result(LIMIT_S)
        spans = np.frombuffer(_native.round_trips(grain, WARM + COUNT), np.uint64)
        return summary(spans[WARM:])


def noop_python() -> dict[str, Any]:
    """The same from Python."""
    with gl.GrainManager(device="cuda:0") as lab:
        ping = lab.grain().ping
        return summary(timed(lambda: ping().result(LIMIT_S)))


def saxpy() -> dict[str, Any]:
    """1,024-float saxpy and wait, against CuPy's ElementwiseKernel and synchronize."""
    import cupy

    data = np.arange(1024, dtype=np.float32)
    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()
        x, z = grain.allocate(1024), grain.allocate(1024)
        x.write(data)
        z.write(np.nan)

        def ours() -> None:
            grain.compute("kernels/Saxpy", inputs=[x, x], outputs=[z], params={"a": 0.5}).result(
                LIMIT_S
            )

        found: dict[str, Any] = {"ring": summary(timed(ours))}
        np.testing.assert_array_equal(z.read().result(LIMIT_S), np.float32(0.5) * data + data)
    kernel = cupy.ElementwiseKernel("T x, T y, T a", "T z", "z = a * x + y", "rival_saxpy")
    cx, cz, a = cupy.asarray(data), cupy.full(1024, np.nan, np.float32), np.float32(0.5)

    def theirs() -> None:
        kernel(cx, cx, a, cz)
        cupy.cuda.get_current_stream().synchronize()

    found["cupy"] = summary(timed(theirs))
    np.testing.assert_allclose(cupy.asnumpy(cz), np.float32(0.5) * data + data, rtol=1e-6)
    found["faster"] = found["cupy"]["p50_ns"] / found["ring"]["p50_ns"]
    return found


def execution() -> dict[str, Any]:
    """Execution of a 1,024-float VectorAdd on the worker's clock."""
    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()
        x, z = grain.allocate(1024), grain.allocate(1024)
        x.write(3)
        spans = [
            grain.compute("kernels/VectorAdd", inputs=[x, x], outputs=[z])
            .result(LIMIT_S)
            .execution_time_ns
            for _ in range(WARM + COUNT)
        ]
        assert (z.read().result(LIMIT_S) == 6).all()
        return summary(spans[WARM:])


def service_time() -> dict[str, Any]:
    """Service, amortized: first taken to last done in a batch, over its messages."""
    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()
        grain.ping().result(LIMIT_S)
        rows = gl.messages(NOOPS, op="noop")
        before = lab.metrics()
        grain.submit(rows).result(LIMIT_S)
        after = lab.metrics()
        assert after.total_messages_processed - before.total_messages_processed == NOOPS
        found = {"noop_ns": _mean_service_ns(before, after)}
        x, z = grain.allocate(1024), grain.allocate(1024)
        x.write(3)
        grain.compute("kernels/VectorAdd", inputs=[x, x], outputs=[z]).result(LIMIT_S)
        sent = [
            grain.compute("kernels/VectorAdd", inputs=[x, x], outputs=[z]) for _ in range(COUNT)
        ]
        found["vector_add_ns"] = float(
            np.mean([each.result(LIMIT_S).execution_time_ns for each in sent])
        )
        assert (z.read().result(LIMIT_S) == 6).all()
        return found


def _mean_service_ns(before: Any, after: Any) -> float:
    def whole(metrics: Any) -> float:
        return float(metrics.average_message_latency_ns or 0) * int(
            metrics.total_messages_processed
        )

    done = float(after.total_messages_processed - before.total_messages_processed)
    return (whole(after) - whole(before)) / done


def pages() -> dict[str, Any]:
    """Arguments in the slot (three words) against arguments in its page (four): one element."""
    found: dict[str, Any] = {}
    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()
        x, y, z, w = (grain.allocate(1) for _ in range(4))
        for array in (x, y, z):
            array.write(2)
        for name, kernel, arrays in (
            ("inline", "kernels/VectorAdd", [x, y]),
            ("page", "kernels/Fma", [x, y, z]),
        ):

            def call(kernel: str = kernel, arrays: Any = arrays) -> Any:
                return grain.compute(kernel, inputs=arrays, outputs=[w])

            def wait(call: Callable[[], Any] = call) -> None:
                call().result(LIMIT_S)

            wait()
            sent = [call() for _ in range(COUNT)]
            spans = [each.result(LIMIT_S).execution_time_ns for each in sent]
            found[name] = {
                "execution_ns": float(np.mean(spans)),
                "round_trip": summary(timed(wait)),
            }
        assert (w.read().result(LIMIT_S) == 6).all()
    return found


def transfers() -> dict[str, Any]:
    """4 KiB write and read, pipelined; allocate and release."""
    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()
        x, data, out = grain.allocate(1024), np.ones(1024, np.float32), np.zeros(1024, np.float32)
        x.write(data).result(LIMIT_S)
        found = {}
        for name, call in (
            ("write", lambda: x.write(data)),
            ("read", lambda: x.read(out=out)),
            ("allocate_release", lambda: grain.allocate(1024, zero=False).release()),
        ):
            since = time.perf_counter()
            for _ in range(COUNT):
                last = call()
            last.result(LIMIT_S)
            found[f"{name}_ns"] = (time.perf_counter() - since) / COUNT * 1e9
        assert (out == 1).all()
        return found


# In the order of their worth: what the time does not reach is the last of these.
FIGURES: dict[str, Callable[[], dict[str, Any]]] = {
    each.__name__: each
    for each in (
        floors,
        noop_native,
        noop_python,
        saxpy,
        eight_rings,
        service_time,
        execution,
        transfers,
        classic_loop_on_four,
        classic_loop,
        wide_against_cupy,
        idle_exit,
        cost_to_others,
        wide,
        dma,
        poll_variants,
        lease_and_synchronize,
        pages,
    )
}


def main() -> None:
    """Print one figure."""
    sys.stdout.write(json.dumps(FIGURES[sys.argv[1]]()) + "\n")


if __name__ == "__main__":
    main()
