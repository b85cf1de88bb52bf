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
from tests.gpu.crossover import dma, wide, wide_against_cupy

__all__ = ["FIGURES", "main"]

HERE = Path(__file__).parent
COUNT = 20_000
WARM = 2_000
LIMIT_S = 60


def _summary(spans_ns: Any) -> dict[str, float]:
    spans = np.sort(np.asarray(spans_ns, np.float64))
    if spans.size < 10_000:
        raise RuntimeError(f"only {spans.size} of the 10,000 measurements that a row needs")
    return {
        "p50_ns": float(np.percentile(spans, 50)),
        "p99_ns": float(np.percentile(spans, 99)),
        "max_ns": float(spans[-1]),
        "count": float(spans.size),
    }


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
        found[name] = _summary(spans[WARM:done])
    # Beyond it the machine was not itself, and nothing may be compared with it.
    found["void"] = found["flag"]["p50_ns"] > 4_000
    return found


def noop_native() -> dict[str, Any]:
    """Noop post and wait, native."""
    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()
        grain.ping().result(LIMIT_S)
        spans = np.frombuffer(_native.round_trips(grain, WARM + COUNT), np.uint64)
        return _summary(spans[WARM:])


def noop_python() -> dict[str, Any]:
    """The same from Python."""
    with gl.GrainManager(device="cuda:0") as lab:
        ping = lab.grain().ping
        return _summary(_timed(lambda: ping().result(LIMIT_S)))


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

        found: dict[str, Any] = {"ring": _summary(_timed(ours))}
        np.testing.assert_array_equal(z.read().result(LIMIT_S), np.float32(0.5) * data + data)
    kernel = cupy.ElementwiseKernel("T x, T y, T a", "T z", "z = a * x + y", "rival_saxpy")
    cx, cz, a = cupy.asarray(data), cupy.full(1024, np.nan, np.float32), np.float32(0.5)

    def theirs() -> None:
        kernel(cx, cx, a, cz)
        cupy.cuda.get_current_stream().synchronize()

    found["cupy"] = _summary(_timed(theirs))
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
        return _summary(spans[WARM:])


def throughput() -> dict[str, Any]:
    """Noops posted without waiting, one ring, from Python."""
    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()
        grain.ping().result(LIMIT_S)
        count = 200_000
        since = time.perf_counter()
        for _ in range(count):
            last = grain.ping()
        last.result(LIMIT_S)
        return {"messages_per_s": count / (time.perf_counter() - since)}


def service_time() -> dict[str, Any]:
    """Service of Noop, amortized: first taken to last done in a batch, over its messages."""
    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()
        grain.ping().result(LIMIT_S)
        before = lab.metrics().total_messages_processed
        for _ in range(200_000):
            last = grain.ping()
        last.result(LIMIT_S)
        after = lab.metrics()
        assert after.total_messages_processed - before == 200_000
        return {"noop_ns": after.average_message_latency_ns}


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


def classic_loop() -> dict[str, Any]:
    """The classic loop of 50,000 messages, checked after the clock; one grain."""
    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()
        data = np.arange(1024, dtype=np.float32)
        bad = 0

        def rounds(count: int) -> list[Any]:
            outs = [np.full(1024, np.nan, np.float32) for _ in range(count)]
            for out in outs:
                x, z = grain.allocate(1024), grain.allocate(1024)
                x.write(data)
                grain.compute("kernels/VectorAdd", inputs=[x, x], outputs=[z])
                last = z.read(out=out)
            last.result(LIMIT_S)
            grain.barrier().result(LIMIT_S)
            return outs

        rounds(100)
        before, since = lab.metrics(), time.perf_counter()
        outs = rounds(50_000 // 7)
        spent, after = time.perf_counter() - since, lab.metrics()
        bad = sum(not np.array_equal(out, data + data) for out in outs)
        assert bad == 0, f"{bad} wrong results"
        messages = after.total_messages_processed - before.total_messages_processed
        return {"messages_per_s": messages / spent, "pool_hit_rate": after.pool_hit_rate}


def _timed(call: Callable[[], Any]) -> Any:
    spans = np.empty(WARM + COUNT)
    clock = time.perf_counter_ns
    for n in range(spans.size):
        since = clock()
        call()
        spans[n] = clock() - since
    return spans[WARM:]


FIGURES: dict[str, Callable[[], dict[str, Any]]] = {
    each.__name__: each
    for each in (
        floors,
        noop_native,
        noop_python,
        saxpy,
        execution,
        throughput,
        service_time,
        transfers,
        classic_loop,
        dma,
        wide,
        wide_against_cupy,
    )
}


def main() -> None:
    """Print one figure."""
    sys.stdout.write(json.dumps(FIGURES[sys.argv[1]]()) + "\n")


if __name__ == "__main__":
    main()
