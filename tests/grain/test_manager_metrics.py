"""What the manager counts: exact sums, and back to zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, add, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable


def histogram_sums(lab: gl.GrainManager) -> set[int]:
    snapshot = lab._snapshot()
    return {
        int(np.asarray(snapshot[f"{stage}_counts"]).sum())
        for stage in ("queue", "service", "round_trip")
    }


def test_counts_sum_exactly(any_lab: gl.GrainManager) -> None:
    """A message counted in one place and not in the other, or in two rings' sums."""

    @gl.kernel
    def outside(i, x):  # type: ignore[no-untyped-def]
        x[i + 1] = 1

    shared, own = any_lab.grain("s"), any_lab.grain("d", placement="dedicated")
    sent = {shared: 0, own: 0}
    failed = []
    for grain in (shared, own):
        x = grain.allocate(100)
        for k in range(137):
            grain.write(x, float(k))
            grain.compute(add, inputs=[x, x], outputs=[x])
            grain.read(x)
        failed.append(grain.compute(outside, outputs=[x]))
        x.release()
        sent[grain] = 1 + 3 * 137 + 2
    for grain in (shared, own):
        grain.barrier().result(timeout=LIMIT_S)
        sent[grain] += 1
    total = sum(sent.values())
    metrics = any_lab.metrics()
    assert metrics.total_messages_processed == total
    assert histogram_sums(any_lab) == {total}
    assert metrics.pending_message_count == 0
    assert metrics.errors == 2
    assert metrics.active_allocation_count == metrics.total_allocated_bytes == 0
    assert metrics.used_pool_size_bytes == 0
    assert metrics.grains == 2
    for grain in (shared, own):
        mine = grain.metrics()
        assert mine.total_messages_processed == sent[grain]
        assert mine.errors == 1
        assert mine.active_allocation_count == mine.pending_message_count == 0
    for each in failed:
        assert isinstance(each.exception(), gl.OutOfBounds)
    assert any_lab.metrics().unobserved_failures == 0


def test_a_large_transfer_counts_its_parts_consistently(tiny: gl.GrainManager) -> None:
    """Parts counted as messages in one place only."""
    x = tiny.grain().allocate(1 << 20)
    x.write(np.ones(1 << 20, np.float32))
    x.read().result(timeout=LIMIT_S)
    assert histogram_sums(tiny) == {tiny.metrics().total_messages_processed}
    assert tiny.grain().metrics().total_messages_processed == (
        tiny.metrics().total_messages_processed
    )


def test_pending_and_allocations_while_nothing_moves(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """Pending messages that only the worker counts, allocations that wait for it."""
    lab = make_lab("default")
    a, b = lab.grain("a"), lab.grain("b")
    with lab.quiesced():
        x = a.allocate(100)
        y = b.allocate((3, 5), dtype="float64")
        x.write(1)
        metrics = lab.metrics()
        assert metrics.pending_message_count == 3
        assert metrics.active_allocation_count == 2
        assert metrics.total_allocated_bytes == 400 + 120
        assert metrics.used_pool_size_bytes == 512 + 256
        assert metrics.total_messages_processed == 0
        assert a.metrics().pending_message_count == 2
        assert a.metrics().total_allocated_bytes == 400
        assert b.metrics().total_allocated_bytes == 120
    b.barrier().result(timeout=LIMIT_S)
    assert lab.metrics().pending_message_count == 0
    assert y.shape == (3, 5)


def test_held_back_messages_are_pending(tiny: gl.GrainManager) -> None:
    """Messages that nobody counts while a borrow holds them back."""
    grain = tiny.grain()
    x = grain.allocate(1)
    with grain.borrow(x):
        grain.ping()
        grain.ping()
        assert tiny.metrics().pending_message_count == 2
        assert grain.metrics().pending_message_count == 2
        grain.cancel()  # drops neither: they are pings
        x.write(1)
        grain.cancel()
        assert tiny.metrics().pending_message_count == 2
    grain.barrier().result(timeout=LIMIT_S)
    assert tiny.metrics().pending_message_count == 0


def test_counts_of_many_threads_sum_exactly(any_lab: gl.GrainManager) -> None:
    """An increment lost between threads."""
    grains = [any_lab.grain(f"g{k % 2}") for k in range(4)]

    def work(number: int) -> None:
        for _ in range(250):
            x = grains[number].allocate(10)
            x.write(1)
        x.read().result(timeout=LIMIT_S)

    in_threads(4, work)
    for grain in grains:
        grain.barrier().result(timeout=LIMIT_S)
    metrics = any_lab.metrics()
    # Allocate, write and release of 1,000 handles; four reads, four barriers.
    assert metrics.total_messages_processed == 3008
    assert metrics.pool_hit_count + metrics.pool_miss_count == 1000
    assert metrics.active_allocation_count == 0
    assert histogram_sums(any_lab) == {3008}


def test_parks_and_relaunches(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A park of a parked engine, or a launch, counted wrongly."""
    lab = make_lab(gl.RingOptions(linger_us=1_000_000, lease_ms=1000))
    grain = lab.grain()
    for _ in range(5):
        grain.ping().result(timeout=LIMIT_S)
        lab.park()
        lab.park()
    assert lab.metrics().parks == 5


def test_the_report_and_the_frame(tiny: gl.GrainManager) -> None:
    """A report that cannot be printed; a frame without rows."""
    pytest.importorskip("pandas")
    x = tiny.grain().allocate(4)
    x.read().result(timeout=LIMIT_S)
    text = str(tiny.metrics())
    for line in ("Messages Processed", "Utilization", "host (CPU threads)", "Kernel Cache"):
        assert line in text
    frame = tiny.metrics_frame()
    assert len(frame) >= 1
    assert "total_messages_processed" in frame.columns
    assert int(frame["total_messages_processed"].iloc[-1]) >= 2


def test_metrics_after_close(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A crash, or counts that close has changed."""
    lab = make_lab()
    x = lab.grain().allocate(4)
    x.read().result(timeout=LIMIT_S)
    lab.close()
    assert lab.metrics().total_messages_processed == 2
    assert "TERMINATED" in repr(lab.metrics().engine_state)
    del x
