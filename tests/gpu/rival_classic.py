"""The classic loop: allocate, write 4 KiB, add, read, release, 2,000 times; checked afterwards.

Ours waits once for all, as do messages; the rivals' copies wait by themselves, as they are used.
The graph has its memory beforehand, and copies through pinned memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import gpures_lab as gl
from tests.gpu.measure import LIMIT_S
from tests.gpu.race import OURS, Racer, race

__all__ = ["rival_classic"]

ROUNDS, SIZE, REPEATS = 2_000, 1024, 5
THREADS = 128
BLOCKS = SIZE // THREADS
SOURCE = """
extern "C" __global__ void rival_add(float* x, const float* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] += y[i];
}
"""


def rival_classic() -> dict[str, Any]:
    """A round of the loop, in microseconds."""
    data = np.random.default_rng(7).random((ROUNDS, SIZE), np.float32)
    ones = np.ones(SIZE, np.float32)
    results = np.empty((ROUNDS, SIZE), np.float32)

    def racer(run: Any) -> Racer:
        return Racer(
            run,
            lambda: results.fill(np.nan),
            lambda: np.testing.assert_array_equal(results, data + ones),
        )

    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()

        def ours() -> Racer:
            one = grain.allocate(SIZE)
            one.write(ones)

            def run() -> None:
                for row, out in zip(data, results, strict=True):
                    x = grain.allocate(SIZE)
                    x.write(row)
                    grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x])
                    x.read(out=out)
                    x.release()
                grain.barrier().result(LIMIT_S)

            return racer(run)

        def with_cupy() -> Racer:
            import cupy

            one = cupy.asarray(ones)

            def run() -> None:
                for row, out in zip(data, results, strict=True):
                    x = cupy.asarray(row)
                    cupy.add(x, one, out=x)
                    x.get(out=out)

            return racer(run)

        def with_a_graph() -> Racer:
            import cupy

            kernel = cupy.RawKernel(SOURCE, "rival_add")
            x, one = cupy.empty(SIZE, cupy.float32), cupy.asarray(ones)
            memory = [cupy.cuda.alloc_pinned_memory(x.nbytes) for _ in range(2)]
            there, back = (np.frombuffer(each, np.float32, SIZE) for each in memory)
            stream = cupy.cuda.Stream(non_blocking=True)
            cupy.cuda.Device().synchronize()
            with stream:
                kernel((BLOCKS,), (THREADS,), (x, one, np.int32(SIZE)))  # loaded before
                stream.synchronize()
                stream.begin_capture()
                x.data.copy_from_host_async(memory[0].ptr, x.nbytes, stream)
                kernel((BLOCKS,), (THREADS,), (x, one, np.int32(SIZE)))
                x.data.copy_to_host_async(memory[1].ptr, x.nbytes, stream)
                graph = stream.end_capture()

            def run() -> None:
                for row, out in zip(data, results, strict=True):
                    there[:] = row
                    graph.launch(stream)
                    stream.synchronize()
                    out[:] = back

            return racer(run)

        def with_numba() -> Racer:
            from numba import cuda

            @cuda.jit  # type: ignore[untyped-decorator]
            def add(x: Any, y: Any) -> None:
                i = cuda.grid(1)
                if i < x.size:
                    x[i] += y[i]

            one = cuda.to_device(ones)
            launch = add[BLOCKS, THREADS]

            def run() -> None:
                for row, out in zip(data, results, strict=True):
                    x = cuda.to_device(row)
                    launch(x, one)
                    x.copy_to_host(out)

            return racer(run)

        def with_torch() -> Racer:
            import torch

            one = torch.from_numpy(ones).to("cuda:0")
            rows, outs = torch.from_numpy(data), torch.from_numpy(results)

            def run() -> None:
                for row, out in zip(rows, outs, strict=True):
                    x = row.to("cuda:0")
                    x.add_(one)
                    out.copy_(x)
                torch.cuda.synchronize()

            return racer(run)

        makers = {OURS: ours, "CuPy": with_cupy, "CUDA graph": with_a_graph}
        makers |= {"Numba-CUDA": with_numba, "PyTorch": with_torch}
        return race(makers, units=ROUNDS, repeats=REPEATS)
