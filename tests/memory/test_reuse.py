"""Exact reuse, its counts, and whose data a reused block shows."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab._core import _native
from tests.grain.engines import LIMIT_S, Latch, add, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable


def test_hits_and_misses_are_exact(tiny: gl.GrainManager) -> None:
    """A reuse counted as a miss, or a fresh block as a hit."""
    grain = tiny.grain()
    for _ in range(100):
        grain.allocate(1000).release()
    metrics = tiny.metrics()
    assert (metrics.pool_hit_count, metrics.pool_miss_count) == (99, 1)
    assert metrics.pool_hit_rate == pytest.approx(0.99)
    assert metrics.used_pool_size_bytes == 0
    assert metrics.total_pool_size_bytes == 4096
    assert metrics.pool_utilization == 0


def test_the_newest_returned_block_is_lent_first(tiny: gl.GrainManager) -> None:
    """Cold blocks lent before warm ones."""
    grain = tiny.grain()
    handles = [grain.allocate(1000) for _ in range(5)]
    blocks = [_native.block_of(each) for each in handles]
    for each in handles:
        each.release()
    again = [grain.allocate(1000) for _ in range(5)]
    assert [_native.block_of(each) for each in again] == blocks[::-1]


def test_reuse_while_the_old_owner_is_still_queued(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A block lent to the next handle before the last one's messages ran: mixed data."""
    lab = make_lab("default")
    grain, other = lab.grain("a"), lab.grain("b")
    z = grain.allocate(1000)
    x = grain.allocate(1000)
    with lab.quiesced():
        x.write(3)
        grain.compute(add, inputs=[x, x], outputs=[z])
        block = _native.block_of(x)
        x.release()
        y = other.allocate(1000)
        assert _native.block_of(y) == block, "the same ring may lend it at once"
        y.write(9, offset=0)
    assert (z.read().result(timeout=LIMIT_S) == 6).all()
    assert y.read().result(timeout=LIMIT_S)[:2].tolist() == [9, 0]


def test_another_ring_waits_for_the_release(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A block lent across rings while its old owner's messages are queued: order is lost."""
    lab = make_lab("default")
    a, b = lab.grain("a"), lab.grain("b", placement="dedicated")
    b.ping().result(timeout=LIMIT_S)
    x = a.allocate(1000)
    x.write(1).result(timeout=LIMIT_S)
    block = _native.block_of(x)
    with lab.quiesced():
        x.write(8)
        release = x.release()
        y = b.allocate(1000)
        assert _native.block_of(y) != block
    release.result(timeout=LIMIT_S)
    z = b.allocate(1000, zero=False)
    assert _native.block_of(z) == block
    assert not z.read().result(timeout=LIMIT_S).any()
    assert not y.read().result(timeout=LIMIT_S).any()


def test_a_rejected_allocate_does_not_free_the_block_early(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A block rented, then returned for want of a slot, forgets that its Release is queued."""
    lab = make_lab("slots4", full_wait_s=0)
    a, b = lab.grain("a"), lab.grain("b", placement="dedicated")
    b.ping().result(timeout=LIMIT_S)
    x = a.allocate(1000)
    x.write(1).result(timeout=LIMIT_S)
    block = _native.block_of(x)
    with lab.quiesced():
        write = x.write(8)
        release = x.release()
        for _ in range(2):
            a.ping()
        with pytest.raises(gl.RingFull):
            a.allocate(1000)
        y = b.allocate(1000)
        assert _native.block_of(y) != block
        read = y.read()
    write.result(timeout=LIMIT_S)
    release.result(timeout=LIMIT_S)
    assert not read.result(timeout=LIMIT_S).any()


def test_a_block_is_never_seen_unzeroed_by_another_grain(any_lab: gl.GrainManager) -> None:
    """Data that leaks from one grain to the next through the pool."""
    owners = [
        any_lab.grain(f"g{k}", placement="shared" if k % 2 else "dedicated") for k in range(4)
    ]

    def work(number: int) -> None:
        grain = owners[number]
        secret = float(number + 1)
        for k in range(100):
            x = grain.allocate(512 + 16 * (k % 5), zero=bool(k % 3))
            seen = x.read().result(timeout=LIMIT_S)
            assert np.isin(seen, (0, secret)).all()
            assert k % 3 == 0 or not seen.any()
            x.write(secret)
            if k % 2:
                x.release()

    in_threads(4, work)


def test_threads_that_allocate_and_release_share_blocks_safely(any_lab: gl.GrainManager) -> None:
    """A block lent twice by a race in the free lists."""
    grain = any_lab.grain()

    def work(number: int) -> None:
        for k in range(150):
            x = grain.allocate(100)
            x.write(float(number * 1000 + k))
            assert (x.read().result(timeout=LIMIT_S) == number * 1000 + k).all()

    in_threads(4, work)
    grain.barrier().result(timeout=LIMIT_S)
    assert any_lab.metrics().used_pool_size_bytes == 0


def test_device_and_pinned_blocks_are_apart(tiny: gl.GrainManager) -> None:
    """A pinned request that gets an idle device block."""
    grain = tiny.grain()
    grain.allocate(1000).release()
    pinned = grain.allocate(1000, memory_type="pinned")
    metrics = tiny.metrics()
    assert (metrics.pool_hit_count, metrics.pool_miss_count) == (0, 2)
    pinned.release()
    grain.allocate(1000, memory_type="pinned")
    assert tiny.metrics().pool_hit_count == 1


def test_a_dropped_handle_in_another_thread_returns_its_block(tiny: gl.GrainManager) -> None:
    """A finalizer that works only in the thread that allocated."""
    grain = tiny.grain()
    holder = [grain.allocate(100)]
    latch = Latch(tiny.grain("busy"))
    thread = threading.Thread(target=holder.clear)
    thread.start()
    thread.join(LIMIT_S)
    latch.open()
    grain.barrier().result(timeout=LIMIT_S)
    assert len(grain.handles) == 0
