"""The byte limit: eviction in order of last use, exhaustion that costs nothing."""

from __future__ import annotations

import random
from collections import OrderedDict
from typing import TYPE_CHECKING

import pytest

import gpures_lab as gl
from gpures_lab._core import _native
from tests.grain.engines import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable

KIB = 1024


def settle(lab: gl.GrainManager) -> None:
    """Every release has been answered: from here on eviction depends on nothing else."""
    lab.grain("settle").barrier().result(timeout=LIMIT_S)


@pytest.mark.parametrize("seed", range(4))
def test_victims_are_those_of_an_ordered_dict(
    make_lab: Callable[..., gl.GrainManager], seed: int
) -> None:
    """Another victim than the block returned longest ago, or one more than needed."""
    limit = 300 * KIB
    lab = make_lab("slots4", pool_limit_bytes=limit)
    grain = lab.grain(dtype="uint8")
    lab._engine.record_evictions(True)
    chance = random.Random(seed)
    live: list[tuple[gl.ResidentArray, int, int]] = []
    idle: OrderedDict[int, int] = OrderedDict()  # block → bytes, oldest return first
    used = 0
    evicted: list[int] = []
    for _ in range(500):
        if live and chance.random() < 0.48:
            handle, block, size = live.pop(chance.randrange(len(live)))
            handle.release()
            settle(lab)
            used -= size
            idle[block] = size
            continue
        nbytes = int(2 ** chance.uniform(8, 16))
        size = _native.class_bytes(nbytes)
        if used + size > limit:
            with pytest.raises(gl.PoolExhausted):
                grain.allocate(nbytes)
            continue
        handle = grain.allocate(nbytes)
        block = _native.block_of(handle)
        same = [index for index, held in idle.items() if held == size]
        if same:
            assert block == same[-1], "exact reuse takes the newest of its class"
            del idle[block]
        else:
            while used + sum(idle.values()) + size > limit:
                evicted.append(idle.popitem(last=False)[0])
        used += size
        live.append((handle, block, size))
        metrics = lab.metrics()
        assert metrics.used_pool_size_bytes == used
        assert metrics.total_pool_size_bytes == used + sum(idle.values()) <= limit
    assert lab._engine.take_evictions() == evicted
    assert lab.metrics().evictions == len(evicted) > 5


def test_pool_exhausted_leaves_everything_usable(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A failed allocation that loses a block, a handle or a slot, or evicts for nothing."""
    lab = make_lab("slots4", pool_limit_bytes=64 * KIB)
    grain = lab.grain("g", dtype="uint8")
    x = grain.allocate(32 * KIB)
    x.write(7)
    grain.allocate(16 * KIB).release()
    settle(lab)
    before = lab.metrics()
    for _ in range(20):
        with pytest.raises(gl.PoolExhausted, match=r"in use; release handles, or raise") as error:
            grain.allocate(33 * KIB)
    assert isinstance(error.value, MemoryError)
    assert error.value.used == 32 * KIB  # type: ignore[attr-defined]
    assert error.value.limit == 64 * KIB  # type: ignore[attr-defined]
    with pytest.raises(gl.PoolExhausted):
        grain.allocate(1 << 40)
    after = lab.metrics()
    assert after.evictions == before.evictions
    assert after.total_messages_processed == before.total_messages_processed
    assert after.used_pool_size_bytes == 32 * KIB
    y = grain.allocate(32 * KIB)
    assert not y.read().result(timeout=LIMIT_S).any()
    assert (x.read().result(timeout=LIMIT_S) == 7).all()


def test_the_limit_counts_blocks_not_requests(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A limit that the slack of the size classes goes beyond."""
    lab = make_lab("slots4", pool_limit_bytes=4096)
    grain = lab.grain(dtype="uint8")
    handles = [grain.allocate(1) for _ in range(16)]
    with pytest.raises(gl.PoolExhausted):
        grain.allocate(1)
    del handles
    settle(lab)
    grain.allocate(4096)


def test_a_release_that_is_still_queued_delays_eviction_only(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """An allocation that fails although the room it needs is on its way."""
    lab = make_lab("slots4", pool_limit_bytes=64 * KIB)
    grain = lab.grain(dtype="uint8")
    for k in range(200):
        x = grain.allocate((40 + k % 20) * KIB)
        x.write(k % 256)
        assert x.read(count=1, offset=x.size - 1).result(timeout=LIMIT_S)[0] == k % 256
        x.release()


def test_pinned_and_device_share_the_limit(make_lab: Callable[..., gl.GrainManager]) -> None:
    """Twice the limit by two memory types."""
    grain = make_lab("slots4", pool_limit_bytes=8192).grain(dtype="uint8")
    device = grain.allocate(4096)
    pinned = grain.allocate(4096, memory_type="pinned")
    for memory_type in ("device", "pinned"):
        with pytest.raises(gl.PoolExhausted):
            grain.allocate(1, memory_type=memory_type)
    assert device.released is pinned.released is False
