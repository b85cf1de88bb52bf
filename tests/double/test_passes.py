"""Plain launches in several passes, through the whole stack: order, memory, and the results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.double.cupy_double import CupyDouble

WIDE = gl.RingOptions(slots=4, wide_above_bytes=0, linger_us=500)
N = 40_003
RNG = np.random.default_rng(7)
FLOATS = RNG.normal(size=N).astype(np.float32)


def launches(double: CupyDouble) -> int:
    return int(double.native.fake_cuda_counts().wide_launches)


def run(
    grain: gl.Grain, name: str, *arrays: Any, out: int | None = None, dtype: Any = None
) -> np.ndarray:
    """Write the inputs, compute, read; at once, so that the order is the engine's to keep."""
    given = [grain.allocate(array.shape, dtype=array.dtype) for array in arrays]
    for handle, array in zip(given, arrays, strict=True):
        handle.write(array)
    shape = arrays[0].shape if out is None else (out,)
    z = grain.allocate(shape, dtype=dtype or arrays[0].dtype)
    if out is not None:
        z.write(-1)
    done = grain.compute(f"kernels/{name}", inputs=given, outputs=[z])
    given[0].write(np.zeros_like(arrays[0]))  # too late to be seen
    result = z.read().result(LIMIT_S)
    done.result(LIMIT_S)
    for handle in (*given, z):
        handle.release()
    return result


def scattered(index: np.ndarray, places: int) -> np.ndarray:
    expected = np.full(places, -1, np.float32)
    expected[index] = FLOATS  # NumPy's order too: the last one stays
    return expected


def test_results_and_launches(make_lab: Callable[..., gl.GrainManager], double: CupyDouble) -> None:
    """Catches a pass that is missing, doubled or out of order, and memory that is another's."""
    grain = make_lab(WIDE).grain()
    index = RNG.integers(0, 900, N)

    def check(name: str, passes: int, expected: np.ndarray, *arrays: Any, **more: Any) -> None:
        before = launches(double)
        got = run(grain, name, *arrays, **more)
        np.testing.assert_array_equal(got, expected, name)
        assert launches(double) - before == passes, name

    check("Sum", 2, np.array([FLOATS.sum()]), FLOATS, out=1)
    check("Sort", 4, np.sort(FLOATS), FLOATS)  # 8,192 keys a tile
    check("Scatter", 3, scattered(index, 900), FLOATS, index, out=900)


def test_a_row_or_many(make_lab: Callable[..., gl.GrainManager], double: CupyDouble) -> None:
    """Catches a plan that is made from the wrong words of a call."""
    grain = make_lab(WIDE).grain()
    for shape, passes in ((N,), 5), ((300, 130), 1):
        x = FLOATS[: int(np.prod(shape))].reshape(shape)
        before = launches(double)
        got = run(grain, "Softmax", x)
        assert launches(double) - before == passes
        e = np.exp(x.astype(np.float64) - x.max(axis=-1, keepdims=True))
        np.testing.assert_allclose(got, e / e.sum(axis=-1, keepdims=True), 1e-5)


def test_in_place_is_done_once(make_lab: Callable[..., gl.GrainManager]) -> None:
    """Catches a scan whose parts read what others have written."""
    grain = make_lab(WIDE).grain()
    x = grain.allocate(N, dtype="int64")
    data = RNG.integers(-100, 100, N)
    x.write(data)
    grain.compute("kernels/Scan", inputs=[x], outputs=[x])
    np.testing.assert_array_equal(x.read().result(LIMIT_S), np.cumsum(data))


def test_the_memory_is_given_back(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble
) -> None:
    """Catches a block that stays rented after its work, done or cancelled."""
    lab = make_lab(gl.RingOptions(slots=4, wide_above_bytes=0, dma_above_bytes=0))
    grain = lab.grain()
    x, z = grain.allocate(N), grain.allocate(N)
    grain.ping().result(LIMIT_S)
    used = lab.metrics().used_pool_size_bytes
    for _ in range(3):
        grain.compute("kernels/Sort", inputs=[x], outputs=[z]).result(LIMIT_S)
        assert lab.metrics().used_pool_size_bytes == used
    double.native.fake_cuda_hold_launches(1)
    try:
        x.write(FLOATS)  # on another stream: what follows waits on the host
        done = grain.compute("kernels/Sort", inputs=[x], outputs=[z])
        assert lab.metrics().used_pool_size_bytes > used
        grain.cancel()
        with pytest.raises(gl.Cancelled):
            done.result(LIMIT_S)
        assert lab.metrics().used_pool_size_bytes == used
    finally:
        double.native.fake_cuda_hold_launches(0)


def test_without_memory_one_block_does(
    make_lab: Callable[..., gl.GrainManager], double: CupyDouble
) -> None:
    """Catches an error where the ring would do, and a launch without its memory."""
    lab = make_lab(WIDE, pool_limit_bytes=3 << 18)  # two arrays of 2^16 floats, and no third
    grain = lab.grain()
    size = 1 << 16
    x, z = grain.allocate(size), grain.allocate(size)
    data = RNG.normal(size=size).astype(np.float32)
    x.write(data).result(LIMIT_S)
    keep = grain.allocate(size - 4096)
    before = launches(double)
    grain.compute("kernels/Sort", inputs=[x], outputs=[z]).result(LIMIT_S)
    assert launches(double) == before
    np.testing.assert_array_equal(z.read().result(LIMIT_S), np.sort(data))
    keep.release().result(LIMIT_S)
    grain.compute("kernels/Sort", inputs=[x], outputs=[z]).result(LIMIT_S)
    assert launches(double) == before + 4
    np.testing.assert_array_equal(z.read().result(LIMIT_S), np.sort(data))
