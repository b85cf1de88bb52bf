"""1,000 dependent in-place steps ``x = a * x + b`` over 1,024 floats, waited for once."""

from __future__ import annotations

from typing import Any

import numpy as np

import gpures_lab as gl
from tests.benchmarks.workloads.chain import A, B, affine, expected
from tests.gpu.measure import LIMIT_S
from tests.gpu.race import OURS, Racer, device_synchronize, race

__all__ = ["rival_chain"]

STEPS, SIZE, REPEATS = 1_000, 1024, 20
THREADS = 128
BLOCKS = SIZE // THREADS
SOURCE = """
extern "C" __global__ void rival_affine(float* x, float a, float b, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] = a * x[i] + b;
}
"""


def rival_chain() -> dict[str, Any]:
    """A step of the chain, in microseconds."""
    start = np.random.default_rng(11).random(SIZE, np.float32)
    wanted = expected(start)
    a, b = np.float32(A), np.float32(B)

    def close(found: Any) -> None:  # others may contract a * x + b
        np.testing.assert_allclose(found, wanted, rtol=1e-5)

    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()

        def ours() -> Racer:
            x = grain.allocate(SIZE)
            with grain.record() as step:
                grain.compute(affine, outputs=[x], params={"a": A, "b": B})
            return Racer(
                lambda: step.run(repeat=STEPS).result(LIMIT_S),
                lambda: grain.write(x, start).result(LIMIT_S),
                lambda: np.testing.assert_array_equal(x.read().result(LIMIT_S), wanted),
            )

        def with_cupy() -> Racer:
            import cupy

            text = "x = a * x + b"
            kernel = cupy.ElementwiseKernel("float32 a, float32 b", "float32 x", text, "rival_a")
            x = cupy.empty(SIZE, cupy.float32)

            def run() -> None:
                for _ in range(STEPS):
                    kernel(a, b, x)
                cupy.cuda.get_current_stream().synchronize()

            return Racer(run, lambda: x.set(start), lambda: close(x.get()))

        def with_a_graph() -> Racer:
            import cupy

            kernel = cupy.RawKernel(SOURCE, "rival_affine")
            x = cupy.empty(SIZE, cupy.float32)
            stream = cupy.cuda.Stream(non_blocking=True)
            arguments = (x, a, b, np.int32(SIZE))
            with stream:
                kernel((BLOCKS,), (THREADS,), arguments)  # compiled and loaded before
                stream.synchronize()
                stream.begin_capture()
                for _ in range(STEPS):
                    kernel((BLOCKS,), (THREADS,), arguments)
                graph = stream.end_capture()

            def run() -> None:
                graph.launch(stream)
                stream.synchronize()

            def poison() -> None:
                x.set(start)
                device_synchronize()

            return Racer(run, poison, lambda: close(x.get()))

        def with_numba() -> Racer:
            from numba import cuda

            @cuda.jit  # type: ignore[untyped-decorator]
            def step(x: Any, a: Any, b: Any) -> None:
                i = cuda.grid(1)
                if i < x.size:
                    x[i] = a * x[i] + b

            x = cuda.to_device(start)
            launch = step[BLOCKS, THREADS]

            def run() -> None:
                for _ in range(STEPS):
                    launch(x, a, b)
                cuda.synchronize()

            return Racer(run, lambda: x.copy_to_device(start), lambda: close(x.copy_to_host()))

        def with_torch() -> Racer:
            import torch

            x = torch.empty(SIZE, dtype=torch.float32, device="cuda:0")
            added = torch.tensor(float(b), dtype=torch.float32, device="cuda:0")
            given = torch.from_numpy(start)

            def run() -> None:
                for _ in range(STEPS):
                    torch.add(added, x, alpha=float(a), out=x)
                torch.cuda.synchronize()

            def poison() -> None:
                x.copy_(given)
                torch.cuda.synchronize()

            return Racer(run, poison, lambda: close(x.cpu().numpy()))

        makers = {OURS: ours, "CuPy": with_cupy, "CUDA graph": with_a_graph}
        makers |= {"Numba-CUDA": with_numba, "PyTorch": with_torch}
        return race(makers, units=STEPS, repeats=REPEATS)
