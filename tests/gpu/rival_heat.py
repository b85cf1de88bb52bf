"""Heat spreads over a plate: 1,000 steps on 256 x 256 points; ours in one block of the ring."""

from __future__ import annotations

from typing import Any

import numpy as np

import gpures_lab as gl
from tests.benchmarks.workloads.heat import SIDE, STEPS, C, Plate, expected
from tests.gpu.measure import LIMIT_S
from tests.gpu.race import OURS, Racer, device_synchronize, race

__all__ = ["rival_heat"]

REPEATS = 10
TILE = (32, 8)
GRID = (-(-(SIDE - 2) // TILE[0]), -(-(SIDE - 2) // TILE[1]))
SOURCE = """
extern "C" __global__ void rival_spread(const float* u, float* v, float c, int side) {
  const int j = blockIdx.x * blockDim.x + threadIdx.x;
  const int i = blockIdx.y * blockDim.y + threadIdx.y;
  if (i >= side - 2 || j >= side - 2) return;
  const float* at = u + (i + 1) * side + j + 1;
  const float around = at[-side] + at[side] + at[-1] + at[1];
  v[(i + 1) * side + j + 1] = *at + c * (around - 4 * *at);
}
"""


def rival_heat() -> dict[str, Any]:
    """The whole solution, in microseconds."""
    plate = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    wanted = expected(plate, STEPS)
    c = np.float32(C)

    def judge(found: Any) -> None:
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5)

    def on_cupy() -> tuple[Any, Any, Any, Any]:
        import cupy

        kernel = cupy.RawKernel(SOURCE, "rival_spread")
        u, v = cupy.asarray(plate), cupy.asarray(plate)

        def steps(count: int) -> None:
            here, there = u, v
            for _ in range(count):
                kernel(GRID, TILE, (here, there, c, np.int32(SIDE)))
                here, there = there, here

        def poison() -> None:
            u.set(plate)
            v.set(plate)
            device_synchronize()

        return cupy, u, steps, poison

    with gl.GrainManager(device="cuda:0") as lab:

        def ours() -> Racer:
            made = Plate(lab.grain("plate"), SIDE)
            return Racer(
                lambda: made.run(STEPS),
                lambda: made.start(plate),
                lambda: judge(made.here.read().result(LIMIT_S)),
            )

        def with_cupy() -> Racer:
            cupy, u, steps, poison = on_cupy()

            def run() -> None:
                steps(STEPS)
                cupy.cuda.get_current_stream().synchronize()

            return Racer(run, poison, lambda: judge(u.get()))

        def with_a_graph() -> Racer:
            cupy, u, steps, poison = on_cupy()
            stream = cupy.cuda.Stream(non_blocking=True)
            with stream:
                steps(2)  # compiled and loaded before
                stream.synchronize()
                stream.begin_capture()
                steps(STEPS)
                graph = stream.end_capture()

            def run() -> None:
                graph.launch(stream)
                stream.synchronize()

            return Racer(run, poison, lambda: judge(u.get()))

        def with_numba() -> Racer:
            from numba import cuda

            @cuda.jit  # type: ignore[untyped-decorator]
            def step(u: Any, v: Any, c: Any) -> None:
                j, i = cuda.grid(2)
                if i < u.shape[0] - 2 and j < u.shape[1] - 2:
                    around = u[i, j + 1] + u[i + 2, j + 1] + u[i + 1, j] + u[i + 1, j + 2]
                    here = u[i + 1, j + 1]
                    v[i + 1, j + 1] = here + c * (around - np.float32(4) * here)

            u, v = cuda.to_device(plate), cuda.to_device(plate)
            launch = step[GRID, TILE]

            def run() -> None:
                here, there = u, v
                for _ in range(STEPS):
                    launch(here, there, c)
                    here, there = there, here
                cuda.synchronize()

            def poison() -> None:
                u.copy_to_device(plate)
                v.copy_to_device(plate)

            return Racer(run, poison, lambda: judge(u.copy_to_host()))

        def with_torch() -> Racer:
            import torch

            given = torch.from_numpy(plate)
            u, v = given.to("cuda:0"), given.to("cuda:0")

            def run() -> None:
                here, there = u, v
                for _ in range(STEPS):
                    inner = here[1:-1, 1:-1]
                    around = here[:-2, 1:-1] + here[2:, 1:-1] + here[1:-1, :-2] + here[1:-1, 2:]
                    torch.add(inner, around - 4 * inner, alpha=float(c), out=there[1:-1, 1:-1])
                    here, there = there, here
                torch.cuda.synchronize()

            def poison() -> None:
                u.copy_(given)
                v.copy_(given)
                torch.cuda.synchronize()

            return Racer(run, poison, lambda: judge(u.cpu().numpy()))

        makers = {OURS: ours, "CuPy": with_cupy, "CUDA graph": with_a_graph}
        makers |= {"Numba-CUDA": with_numba, "PyTorch": with_torch}
        return race(makers, units=1, repeats=REPEATS)
