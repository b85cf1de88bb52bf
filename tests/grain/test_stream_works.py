"""Plain launches, DMA and fills beside the ring: in their grain's order, on the host's stream.

The thresholds are 0, so that every compute and every transfer beyond a page goes that way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, Latch, add, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_PART = 1 << 20


@pytest.fixture
def stream(make_lab: Callable[..., gl.GrainManager]) -> gl.GrainManager:
    """Return a manager whose computes and larger transfers all leave the ring."""
    return make_lab("slots4-stream")


def test_ring_and_stream_keep_the_order_of_the_calls(stream: gl.GrainManager) -> None:
    """Would catch: a message that overtakes a launch, or a launch that overtakes a message."""
    grain = stream.grain()
    x, one = grain.allocate(1, dtype=np.int64), grain.allocate(1, dtype=np.int64)
    one.write(1)
    seen = []
    for number in range(200):
        x.write(np.array([number]))  # a page: the ring's
        grain.compute(add, inputs=[x, one], outputs=[x])
        seen.append(x.read())
    assert [read.result(LIMIT_S)[0] for read in seen] == list(range(1, 201))


@pytest.mark.parametrize("size", [1025, MAX_PART // 4, (3 * MAX_PART) // 4 + 5])
def test_dma_moves_every_byte(stream: gl.GrainManager, size: int) -> None:
    """Would catch: a part that is dropped, doubled, or copied from a chunk already reused."""
    data = np.random.default_rng(size).random(size, np.float32)
    x = stream.grain().allocate(size)
    for shift in range(3):
        x.write(data + shift)
        np.testing.assert_array_equal(x.read().result(LIMIT_S), data + shift)
    part = x.read(count=size - 7, offset=7).result(LIMIT_S)
    np.testing.assert_array_equal(part, (data + 2)[7:])


def test_a_write_copies_before_it_returns(stream: gl.GrainManager) -> None:
    """Would catch: DMA out of the caller's own array, which he may change at once."""
    data = np.arange(MAX_PART, dtype=np.float32)
    x = stream.grain().allocate(MAX_PART)
    x.write(data)
    data[:] = -1
    np.testing.assert_array_equal(x.read().result(LIMIT_S), np.arange(MAX_PART, dtype=np.float32))


def test_a_barrier_waits_for_a_launch_of_another_grain(stream: gl.GrainManager) -> None:
    """Would catch: a barrier that knows of slots and queues only."""
    slow, other = stream.grain("slow"), stream.grain("other")
    latch = Latch(slow)
    latch.wait_until_running()
    other.ping().result(LIMIT_S)  # other grains go on
    barrier = other.barrier()
    other.ping()
    assert not barrier.done()
    latch.open()
    barrier.result(LIMIT_S)
    assert latch.done.done()


def test_a_release_waits_for_the_launch_before_it(stream: gl.GrainManager) -> None:
    """Would catch: a block that another grain rents while a launch still writes to it."""
    slow, other = stream.grain("slow"), stream.grain("other")
    x = slow.allocate(1 << 18)
    latch = Latch(slow)
    latch.wait_until_running()
    x.release()
    taken = other.allocate(1 << 18)
    taken.write(np.ones(1 << 18, np.float32))
    assert (taken.read().result(LIMIT_S) == 1).all()
    held = slow.metrics().pending_message_count
    latch.open()
    slow.barrier().result(LIMIT_S)
    assert (held, slow.metrics().pending_message_count) == (2, 0)


def test_a_quiesced_window_starts_nothing(stream: gl.GrainManager) -> None:
    """Would catch: a plain launch of an image that is being unloaded."""
    grain = stream.grain()
    x = grain.allocate(8)
    x.write(2)
    grain.compute(add, inputs=[x, x], outputs=[x]).result(LIMIT_S)
    with stream.quiesced():
        late = grain.compute(add, inputs=[x, x], outputs=[x])
        with pytest.raises(TimeoutError):
            late.result(0.02)
    late.result(LIMIT_S)
    assert (x.read().result(LIMIT_S) == 8).all()


def test_an_error_of_a_launch_is_its_own(stream: gl.GrainManager) -> None:
    """Would catch: fault words that are lost, or that the next launch inherits."""

    @gl.kernel
    def beyond(i: Any, x: Any, z: Any) -> None:
        z[i] = x[i + 3]

    grain = stream.grain()
    x, z = grain.allocate(8), grain.allocate(8)
    x.write(np.arange(8, dtype=np.float32))
    with pytest.raises(gl.OutOfBounds, match="flat index 8 of array x"):
        grain.compute(beyond, inputs=[x], outputs=[z]).result(LIMIT_S)
    grain.compute(add, inputs=[x, x], outputs=[z]).result(LIMIT_S)
    assert z.read().result(LIMIT_S)[7] == 14


def test_cancel_drops_what_has_not_started(stream: gl.GrainManager) -> None:
    """Would catch: a cancelled launch that runs all the same, or an answer that never comes."""
    grain = stream.grain()
    latch = Latch(grain)
    latch.wait_until_running()
    x = grain.allocate(8)
    late = grain.compute(add, inputs=[x, x], outputs=[x])
    grain.cancel()
    with pytest.raises(gl.Cancelled):
        late.result(LIMIT_S)
    latch.open()
    latch.done.result(LIMIT_S)


def test_fills_and_zeroing_leave_the_ring(stream: gl.GrainManager) -> None:
    """Would catch: a block handed on with the contents of the grain before."""
    first = stream.grain("first").allocate(5000)
    first.write(3)
    assert (first.read().result(LIMIT_S) == 3).all()
    first.release().result(LIMIT_S)
    second = stream.grain("second").allocate(5000)
    assert not second.read().result(LIMIT_S).any()


def test_a_borrow_waits_for_launches(stream: gl.GrainManager) -> None:
    """Would catch: a view of memory that a launch still writes to."""
    grain = stream.grain()
    x = grain.allocate(1 << 16, name="x")
    x.write(1)
    for _ in range(20):
        grain.compute(add, inputs=[x, x], outputs=[x])
    with grain.borrow(x) as view:
        assert (view == 2.0**20).all()
        later = grain.compute(add, inputs=[x, x], outputs=[x])
        assert not later.done()
    assert (x.read().result(LIMIT_S) == 2.0**21).all()


def test_a_cut_waits_for_launches(stream: gl.GrainManager) -> None:
    """Would catch: a checkpoint of memory that a launch still writes to."""
    grain = stream.grain("cut")
    x = grain.allocate(1 << 20, name="x")
    x.write(1)
    for _ in range(30):
        grain.compute(add, inputs=[x, x], outputs=[x])
    saved = grain.checkpoint()
    saved.result(LIMIT_S)
    grain.discard()
    restored = stream.restore("cut")
    assert (restored.handles["x"].read().result(LIMIT_S) == 2.0**30).all()


def test_figures_count_every_work_once(stream: gl.GrainManager) -> None:
    """Would catch: works that the metrics forget, or whose histograms do not add up."""
    grain = stream.grain()
    x = grain.allocate(8)
    grain.barrier().result(LIMIT_S)
    before = stream.metrics().total_messages_processed
    done = [grain.compute(add, inputs=[x, x], outputs=[x]) for _ in range(10)]
    results = [each.result(LIMIT_S) for each in done]
    grain.barrier().result(LIMIT_S)
    after = stream.metrics()
    assert after.total_messages_processed - before == 11
    assert after.pending_message_count == 0
    assert all(each.execution_time_ns > 0 and each.queue_ns >= 0 for each in results)


def test_threads_share_the_stream(stream: gl.GrainManager) -> None:
    """Would catch: works of two grains that take each other's place."""

    def work(number: int) -> None:
        grain = stream.grain(f"g{number}")
        x = grain.allocate(2048)
        for turn in range(25):
            x.write(np.full(2048, number + turn, np.float32))
            grain.compute(add, inputs=[x, x], outputs=[x])
            found = x.read().result(LIMIT_S)
            assert (found == 2 * (number + turn)).all()

    in_threads(4, work)


def test_close_answers_what_waits_for_a_launch(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """Would catch: a close that leaves a completion pending for ever."""
    lab = make_lab("slots4-stream")
    grain = lab.grain()
    latch = Latch(grain)
    latch.wait_until_running()
    later = grain.ping()
    latch.open()
    lab.close()
    assert latch.done.done()
    assert later.exception(LIMIT_S) is None


def test_a_program_over_another_grain_keeps_out_of_its_launches(stream: gl.GrainManager) -> None:
    """Would catch: a program that changes a grain's memory while a launch of that grain runs."""
    first, second = stream.grain("first"), stream.grain("second")
    x = first.allocate(1 << 18)
    y = second.allocate(8)
    with second.record() as step:
        second.compute(add, inputs=[y, y], outputs=[y])
        first.compute(add, inputs=[x, x], outputs=[x])
    x.write(1)
    for _ in range(8):
        first.compute(add, inputs=[x, x], outputs=[x])
        step.run(repeat=1)
    second.barrier().result(LIMIT_S)
    assert (x.read().result(LIMIT_S) == 2.0**16).all()
