"""One figure a call, as one line of JSON: ``python -m tests.gpu.figures NAME``.

Each runs in a process of its own, so that one hang or fault costs one row. Every result is checked.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

import gpures_lab as gl
from gpures_lab._core import _native
from tests.gpu import dump
from tests.gpu.beside import cost_to_others, idle_exit, lease_and_synchronize
from tests.gpu.crossover import dma, wide, wide_against_cupy
from tests.gpu.floors import floors
from tests.gpu.loops import classic_loop, classic_loop_on_four, eight_rings
from tests.gpu.measure import COUNT, LIMIT_S, WARM, summary, tell, timed
from tests.gpu.rival_chain import rival_chain
from tests.gpu.rival_classic import rival_classic
from tests.gpu.rival_heat import rival_heat
from tests.gpu.rival_zscore import rival_zscore
from tests.gpu.variants import poll_variants

__all__ = ["FIGURES", "main"]

NOOPS = 200_000


def first_message() -> dict[str, Any]:
    """What the first message of a process waits for, by parts; the second beside it."""
    begun = time.perf_counter()
    spent: dict[str, Any] = {}

    def lap(name: str) -> None:
        nonlocal begun
        now = time.perf_counter()
        spent[f"{name}_s"], begun = now - begun, now
        tell(spent)

    import cupy

    lap("import_cupy")
    cupy.zeros(1).sum()
    cupy.cuda.Device().synchronize()
    lap("cupys_first_kernel")
    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()
        lap("manager")
        grain.ping().result(LIMIT_S)
        lap("first_message")
        grain.ping().result(LIMIT_S)
        lap("second_message")
        x = grain.allocate(16)
        x.write(2)
        grain.compute("kernels/Sub", inputs=[x, x], outputs=[x]).result(LIMIT_S)
        lap("first_kernel")
        assert not x.read().result(LIMIT_S).any()
    lap("close")
    return spent


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
        found: dict[str, Any] = {}
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
        # One at a time: what the trips across the bus take, not how many fit on it.
        out[:] = 0
        found["write_alone"] = summary(timed(lambda: x.write(data).result(LIMIT_S)))
        found["read_alone"] = summary(timed(lambda: x.read(out=out).result(LIMIT_S)))
        assert (out == 1).all()
        return found


FIGURES: dict[str, Callable[[], dict[str, Any]]] = {
    each.__name__: each
    for each in (
        floors,
        first_message,
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
        rival_chain,
        rival_classic,
        rival_heat,
        rival_zscore,
        cost_to_others,
        wide,
        dma,
        poll_variants,
        lease_and_synchronize,
        pages,
    )
}


def main(arguments: list[str] | None = None) -> int:
    """Print one figure; where it fails or does not come, where the engines are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=FIGURES)
    parser.add_argument("--limit", type=float, default=600, metavar="S", help="ends it after S s")
    options = parser.parse_args(arguments)
    late = dump.after(options.limit, 1, lambda said: print(said, file=sys.stderr))  # noqa: T201
    dump.before_closing(sys.stderr.write)
    try:
        tell(FIGURES[options.name]())
    except BaseException:  # noqa: BLE001 - told, and the exit code says it
        traceback.print_exc()
        return 1
    finally:
        late.cancel()
    return 0


if __name__ == "__main__":
    sys.exit(main())
