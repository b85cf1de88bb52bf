"""In the order in which to try a new GPU: launch, park, data, kernels, programs, borrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.gpu
LIMIT_S = 15


def test_a_message_is_answered(gpu: gl.GrainManager) -> None:
    """Would catch: a kernel that does not start, or a completion that does not cross the bus."""
    gpu.grain().ping().result(LIMIT_S)
    assert gpu.driver.name == "cuda"


def test_park_and_relaunch(gpu: gl.GrainManager) -> None:
    """Would catch: an exit that is never seen, or a message that nobody relaunches for."""
    for _ in range(50):
        gpu.grain().ping().result(LIMIT_S)
        gpu.park()
        assert gpu.metrics().engine_state == "PARKED"


@pytest.mark.parametrize("lease_ms", [1, 20])
@pytest.mark.parametrize("linger_us", [0, 500])
def test_traffic_survives_launches(
    make_gpu: Callable[..., gl.GrainManager], linger_us: int, lease_ms: int
) -> None:
    """Would catch: a message lost or run twice between two launches."""
    lab = make_gpu(ring=gl.RingOptions(slots=4, linger_us=linger_us, lease_ms=lease_ms))
    grain = lab.grain()
    x, one = grain.allocate(1, dtype="int64"), grain.allocate(1, dtype="int64")
    one.write(1)
    for _ in range(5_000):
        grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x])
    assert x.read().result(LIMIT_S)[0] == 5_000


@pytest.mark.parametrize("size", [1, 7, 1024, 1025, 1 << 20, (3 << 20) + 5])
def test_what_was_written_is_read(gpu: gl.GrainManager, size: int) -> None:
    """Would catch: pages, staging chunks or their tails copied short, or from a stale line."""
    data = np.random.default_rng(size).random(size, np.float32)
    x = gpu.grain().allocate(size)
    assert not x.read().result(LIMIT_S).any()
    x.write(data)
    np.testing.assert_array_equal(x.read().result(LIMIT_S), data)


def test_a_stale_handle_is_refused_and_the_ring_goes_on(gpu: gl.GrainManager) -> None:
    """Would catch: a table that the worker does not check."""
    grain = gpu.grain()
    x = grain.allocate(8)
    x.release().result(LIMIT_S)
    with pytest.raises(gl.StaleHandle):
        grain.read(x)
    grain.ping().result(LIMIT_S)


def test_library_and_user_kernels(gpu: gl.GrainManager) -> None:
    """Would catch: an image without its kernel, or arguments in another order than it takes."""

    @gl.kernel
    def halve(i: Any, x: Any, z: Any, a: Any) -> None:
        z[i] = a * x[i] + 1

    grain = gpu.grain()
    data = np.arange(1024, dtype=np.float32)
    x, z = grain.allocate(1024), grain.allocate(1024)
    x.write(data)
    grain.compute("kernels/VectorAdd", inputs=[x, x], outputs=[z]).result(LIMIT_S)
    np.testing.assert_array_equal(z.read().result(LIMIT_S), data + data)
    done = grain.compute(halve, inputs=[x], outputs=[z], params={"a": 0.5}).result(LIMIT_S)
    assert done.driver == "cuda"
    np.testing.assert_array_equal(z.read().result(LIMIT_S), np.float32(0.5) * data + 1)


def test_a_program_of_many_steps(make_gpu: Callable[..., gl.GrainManager]) -> None:
    """Would catch: progress lost or repeated at the end of a lease."""
    grain = make_gpu(ring=gl.RingOptions(lease_ms=1)).grain()
    x, one = grain.allocate(1, dtype="int64"), grain.allocate(1, dtype="int64")
    one.write(1)
    with grain.record() as step:
        grain.compute("kernels/VectorAdd", inputs=[x, one], outputs=[x])
    assert step.run(repeat=100_000).result(LIMIT_S).iterations == 100_000
    assert x.read().result(LIMIT_S)[0] == 100_000


def test_borrow_is_cupys_and_in_order(gpu: gl.GrainManager) -> None:
    """Would catch: a copy, or a grain that goes on before the user's stream is done."""
    grain = gpu.grain()
    x = grain.allocate(1 << 16)
    x.write(2)
    with grain.borrow(x) as array:
        array *= 3
    assert (x.read().result(LIMIT_S) == 6).all()
