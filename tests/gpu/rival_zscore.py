"""A windowed z-score over a stream, in micro-batches of 100, each waited for before the next.

The window stays on the device. NumPy is there too: without a GPU, for so little work, it is the one
to beat. Ours, Numba's and the graph's walk a batch in one thread; CuPy and PyTorch use prefix sums.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import gpures_lab as gl
from tests.benchmarks.workloads.zscore import WINDOW, NumpyScorer, Scorer, expected, stream
from tests.gpu.race import OURS, Racer, race

__all__ = ["rival_zscore"]

POINTS, BATCH, REPEATS = 20_000, 100, 5
SOURCE = """
extern "C" __global__ void rival_score(const float* points, int count, float* window, int size,
                                       double* total, long long* cursor, float* z) {
  long long at = cursor[0];
  double summed = total[0], squared = total[1];
  for (int k = 0; k < count; ++k) {
    const double fresh = points[k], old = window[at];
    window[at] = points[k];
    at = at + 1 < size ? at + 1 : 0;
    summed += fresh - old;
    squared += fresh * fresh - old * old;
    const double mean = summed / size;
    z[k] = float((fresh - mean) / sqrt(squared / size - mean * mean));
  }
  cursor[0] = at;
  total[0] = summed;
  total[1] = squared;
}
"""


def _sums(history: np.ndarray) -> np.ndarray:
    exact = history.astype(np.float64)
    return np.array([exact.sum(), (exact * exact).sum()])


class _OfArrays:
    """Prefix sums on CuPy's or PyTorch's arrays; batches divide the window, so none wraps."""

    def __init__(self, module: Any, upload: Any, download: Any) -> None:
        self._module, self._upload, self._download = module, upload, download

    def start(self, history: np.ndarray) -> None:
        self._window = self._upload(history.copy())
        sums = self._upload(_sums(history))
        self._summed, self._squared = sums[0], sums[1]
        self._at = 0

    def batch(self, points: np.ndarray, out: np.ndarray) -> None:
        module = self._module
        fresh = self._upload(points)
        place = slice(self._at, self._at + points.size)
        new, old = self._double(fresh), self._double(self._window[place])
        self._window[place] = fresh
        summed = self._summed + module.cumsum(new - old, 0)
        squared = self._squared + module.cumsum(new * new - old * old, 0)
        mean = summed / WINDOW
        self._download((new - mean) / module.sqrt(squared / WINDOW - mean * mean), out)
        self._summed, self._squared = summed[-1], squared[-1]
        self._at = (self._at + points.size) % WINDOW

    def _double(self, array: Any) -> Any:
        return array.double() if hasattr(array, "double") else array.astype("float64")


def _with_cupy() -> Any:
    import cupy

    def download(z: Any, out: np.ndarray) -> None:
        out[:] = cupy.asnumpy(z)

    return _OfArrays(cupy, cupy.asarray, download)


def _with_torch() -> Any:
    import torch

    def download(z: Any, out: np.ndarray) -> None:
        out[:] = z.cpu().numpy()

    return _OfArrays(torch, lambda a: torch.from_numpy(a).to("cuda:0"), download)


class _WithNumba:
    def __init__(self) -> None:
        import math

        from numba import cuda

        @cuda.jit  # type: ignore[untyped-decorator]
        def score(points: Any, window: Any, total: Any, cursor: Any, z: Any) -> None:
            at = cursor[0]
            summed, squared = total[0], total[1]
            for k in range(points.size):
                new, old = np.float64(points[k]), np.float64(window[at])
                window[at] = points[k]
                at = at + 1 if at + 1 < window.size else 0
                summed += new - old
                squared += new * new - old * old
                mean = summed / window.size
                z[k] = (new - mean) / math.sqrt(squared / window.size - mean * mean)
            cursor[0] = at
            total[0] = summed
            total[1] = squared

        self._cuda, self._score = cuda, score[1, 1]

    def start(self, history: np.ndarray) -> None:
        upload = self._cuda.to_device
        self._state = (upload(history), upload(_sums(history)), upload(np.zeros(1, np.int64)))
        self._z = upload(np.zeros(BATCH, np.float32))

    def batch(self, points: np.ndarray, out: np.ndarray) -> None:
        window, total, cursor = self._state
        self._score(self._cuda.to_device(points), window, total, cursor, self._z)
        self._z.copy_to_host(out)


class _WithAGraph:
    def __init__(self) -> None:
        import cupy

        self._cupy = cupy
        kernel = cupy.RawKernel(SOURCE, "rival_score")
        self._window = cupy.zeros(WINDOW, cupy.float32)
        self._total, self._cursor = cupy.ones(2, cupy.float64), cupy.zeros(1, cupy.int64)
        points, z = cupy.zeros(BATCH, cupy.float32), cupy.zeros(BATCH, cupy.float32)
        self._memory = [cupy.cuda.alloc_pinned_memory(z.nbytes) for _ in range(2)]
        self._there, self._back = (np.frombuffer(each, np.float32, BATCH) for each in self._memory)
        state = (self._window, np.int32(WINDOW), self._total, self._cursor, z)
        self._stream = stream = cupy.cuda.Stream(non_blocking=True)
        cupy.cuda.Device().synchronize()
        with stream:
            kernel((1,), (1,), (points, np.int32(BATCH), *state))  # compiled and loaded before
            stream.synchronize()
            stream.begin_capture()
            points.data.copy_from_host_async(self._memory[0].ptr, points.nbytes, stream)
            kernel((1,), (1,), (points, np.int32(BATCH), *state))
            z.data.copy_to_host_async(self._memory[1].ptr, z.nbytes, stream)
            self._graph = stream.end_capture()
        self._kept = (points, z)  # the graph has their addresses

    def start(self, history: np.ndarray) -> None:
        self._window.set(history)
        self._total.set(_sums(history))
        self._cursor.set(np.zeros(1, np.int64))
        self._cupy.cuda.Device().synchronize()

    def batch(self, points: np.ndarray, out: np.ndarray) -> None:
        self._there[:] = points
        self._graph.launch(self._stream)
        self._stream.synchronize()
        out[:] = self._back


def rival_zscore() -> dict[str, Any]:
    """A point, in microseconds."""
    data = stream(POINTS)
    history, fresh = data[:WINDOW], data[WINDOW:].reshape(-1, BATCH)
    scores = np.empty_like(fresh)
    positions = np.arange(0, POINTS, 97)
    wanted = expected(data, positions)

    def racer(scorer: Any) -> Racer:
        def poison() -> None:
            scores.fill(np.nan)
            scorer.start(history)

        def run() -> None:
            for points, out in zip(fresh, scores, strict=True):
                scorer.batch(points, out)

        def check() -> None:
            assert not np.isnan(scores).any()
            np.testing.assert_allclose(scores.ravel()[positions], wanted, rtol=1e-4, atol=1e-4)

        return Racer(run, poison, check)

    with gl.GrainManager(device="cuda:0") as lab:
        grain = lab.grain()
        makers = {
            OURS: lambda: racer(Scorer(grain, BATCH)),
            "NumPy": lambda: racer(NumpyScorer()),
            "CuPy": lambda: racer(_with_cupy()),
            "CUDA graph": lambda: racer(_WithAGraph()),
            "Numba-CUDA": lambda: racer(_WithNumba()),
            "PyTorch": lambda: racer(_with_torch()),
        }
        return race(makers, units=POINTS, repeats=REPEATS)
