"""DMA and plain launches on a GPU: in order with the ring's messages, with the same results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.gpu
LIMIT_S = 20
NEVER = 2**62


def _ways(make_gpu: Callable[..., gl.GrainManager]) -> dict[str, gl.GrainManager]:
    return {
        name: make_gpu(ring=gl.RingOptions(dma_above_bytes=above, wide_above_bytes=above))
        for name, above in (("ring", NEVER), ("stream", 0))
    }


@pytest.mark.parametrize("size", [1025, 1 << 20, (3 << 20) + 5])
def test_both_ways_move_and_compute_the_same(
    make_gpu: Callable[..., gl.GrainManager], size: int
) -> None:
    """Would catch: a tail that one of them leaves out, or another rounding."""
    data = np.random.default_rng(size).random(size, np.float32)
    found = {}
    for name, lab in _ways(make_gpu).items():
        grain = lab.grain()
        x, z = grain.allocate(size), grain.allocate(size)
        x.write(data)
        grain.compute("kernels/Saxpy", inputs=[x, x], outputs=[z], params={"a": 0.1})
        found[name] = z.read().result(LIMIT_S)
    np.testing.assert_array_equal(found["ring"], np.float32(0.1) * data + data)
    np.testing.assert_array_equal(found["stream"], found["ring"])


def test_ring_and_streams_take_turns(make_gpu: Callable[..., gl.GrainManager]) -> None:
    """Would catch: a block of the ring that reads a line from before a launch or a copy."""
    grain = _ways(make_gpu)["stream"].grain()
    x, one = grain.allocate(1, dtype="int64"), grain.allocate(1, dtype="int64")
    one.write(1)
    with grain.record() as step:  # the ring's, whatever the threshold
        grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x])
    for _ in range(500):
        grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x])
        step.run(repeat=1)
    assert x.read().result(LIMIT_S)[0] == 1000


def test_a_block_is_zeroed_by_the_stream(make_gpu: Callable[..., gl.GrainManager]) -> None:
    """Would catch: another grain's data in a new allocation."""
    lab = _ways(make_gpu)["stream"]
    first = lab.grain("first").allocate(1 << 20)
    first.write(3)
    first.release().result(LIMIT_S)
    assert not lab.grain("second").allocate(1 << 20).read().result(LIMIT_S).any()


def test_an_access_out_of_range_is_told(make_gpu: Callable[..., gl.GrainManager]) -> None:
    """Would catch: fault words that never leave the device."""

    @gl.kernel
    def beyond(i: Any, x: Any, z: Any) -> None:
        z[i] = x[i + 3]

    grain = _ways(make_gpu)["stream"].grain()
    x, z = grain.allocate(4096), grain.allocate(4096)
    with pytest.raises(gl.OutOfBounds, match="of array x, which has 4096"):
        grain.compute(beyond, inputs=[x], outputs=[z]).result(LIMIT_S)
    grain.compute("kernels/VectorAdd", inputs=[x, x], outputs=[z]).result(LIMIT_S)


def test_a_heavy_kernel_runs_wide(gpu: gl.GrainManager) -> None:
    """Would catch: a stack that every thread of the ring would have to have."""
    heavy = gl.cpp_kernel(
        "heavy",
        "const int* x, int* z",
        "int t[300]; for (int k = 0; k < 300; ++k) t[k] = x[k] + k; z[i] = t[x[i] % 300];",
        checked=False,
    )
    grain = gpu.grain()
    x, z = grain.allocate(512, dtype="int32"), grain.allocate(512, dtype="int32")
    data = np.arange(512, dtype=np.int32)
    x.write(data)
    grain.compute(heavy, inputs=[x], outputs=[z]).result(LIMIT_S)
    table = data[:300] + np.arange(300, dtype=np.int32)
    np.testing.assert_array_equal(z.read().result(LIMIT_S), table[data % 300])
    with grain.record(), pytest.raises(gl.CompileError, match="no program and no batch"):
        grain.compute(heavy, inputs=[x], outputs=[z])
