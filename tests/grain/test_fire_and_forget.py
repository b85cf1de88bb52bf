"""Completions and arrays that nobody keeps."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


class Watched(np.ndarray):
    """An array one can hold weakly."""


def watched(size: int) -> Watched:
    return np.zeros(size, np.float32).view(Watched)


@pytest.mark.parametrize("size", [16, 1 << 20], ids=["page", "chunks"])
def test_out_lives_until_the_read_has_filled_it(
    make_lab: Callable[..., gl.GrainManager], size: int
) -> None:
    """A read into freed memory, or an array that is never freed afterwards."""
    lab = make_lab("default")
    grain = lab.grain()
    x = grain.allocate(size)
    x.write(4)
    with lab.quiesced():
        out = watched(size)
        seen = weakref.ref(out)
        grain.read(x, out=out)  # its completion is dropped at once
        base = out.base
        del out
        gc.collect()
        assert base is not None
        assert seen() is not None, "the array went while the worker could still write to it"
    grain.ping().result(timeout=LIMIT_S)
    grain.ping().result(timeout=LIMIT_S)
    gc.collect()
    assert seen() is None, "the array was never let go"
    assert (base == 4).all()


def test_out_is_let_go_by_close(make_lab: Callable[..., gl.GrainManager]) -> None:
    """An array that a closed manager keeps for ever."""
    lab = make_lab("slots4")
    x = lab.grain().allocate(4)
    with lab.quiesced():
        out = watched(4)
        seen = weakref.ref(out)
        x.read(out=out)
        del out
    lab.close()
    gc.collect()
    assert seen() is None


def test_ten_thousand_forgotten_reads_keep_nothing(lab: gl.GrainManager) -> None:
    """A leak of one array, one request or one completion a message."""
    grain = lab.grain()
    x = grain.allocate(8)
    seen = []
    for _ in range(10_000):
        out = watched(8)
        seen.append(weakref.ref(out))
        grain.read(x, out=out)
    del out
    grain.barrier().result(timeout=LIMIT_S)
    grain.barrier().result(timeout=LIMIT_S)
    gc.collect()
    assert sum(each() is not None for each in seen) == 0
    assert lab.metrics().pending_message_count == 0


def test_out_is_filled_when_a_later_completion_is_done(tiny: gl.GrainManager) -> None:
    """`out=` valid only after its own completion: a loop that waits once would read garbage."""
    grain = tiny.grain()
    x = grain.allocate(64)
    outs = np.full((50, 64), np.nan, np.float32)
    for k in range(50):
        grain.write(x, float(k))
        grain.read(x, out=outs[k])
    grain.ping().result(timeout=LIMIT_S)
    np.testing.assert_array_equal(outs, np.arange(50, dtype=np.float32)[:, None].repeat(64, 1))


def test_a_dropped_handle_releases_in_ring_order(tiny: gl.GrainManager) -> None:
    """A finalizer that frees the block under a queued compute."""
    grain = tiny.grain()
    z = grain.allocate(256)
    for k in range(100):
        x = grain.allocate(256)
        grain.write(x, float(k))
        grain.compute("kernels/VectorAdd", inputs=[x, x], outputs=[z])
        del x  # while both may be queued
        assert (z.read().result(timeout=LIMIT_S) == 2 * k).all()
    assert tiny.metrics().active_allocation_count == 1


def test_a_handle_dropped_on_a_full_ring_is_released_all_the_same(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A finalizer that fails when no slot is free: the block would leak."""
    lab = make_lab("slots4", full_wait_s=0)
    grain = lab.grain()
    handles = [grain.allocate(4) for _ in range(3)]
    grain.ping().result(timeout=LIMIT_S)
    with lab.quiesced():
        for _ in range(4):
            grain.ping()
        del handles
        assert lab.metrics().active_allocation_count == 0
    # With held-back releases and a full ring even this ping may need to be tried again.
    wait_until(lambda: not lab.metrics().pending_message_count, "messages stay pending")
    grain.ping().result(timeout=LIMIT_S)
    assert lab.metrics().used_pool_size_bytes == 0


def test_a_named_handle_outlives_its_last_reference(tiny: gl.GrainManager) -> None:
    """A named allocation that goes with its variable, as an unnamed one does."""
    grain = tiny.grain()
    grain.allocate(4, name="x").write(6)
    gc.collect()
    assert grain.handles["x"].read().result(timeout=LIMIT_S).tolist() == [6] * 4
