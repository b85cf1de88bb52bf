"""`with grain.borrow(handle)`: the memory itself, in order with the grain."""

from __future__ import annotations

import gc
import signal
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab._core import _native
from gpures_lab.grain import borrow
from tests.grain.engines import LIMIT_S, Latch, add, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_view_is_the_memory_itself(tiny: gl.GrainManager) -> None:
    """A borrow that gives a copy: what it changes would be lost."""
    grain = tiny.grain()
    x = grain.allocate((3, 4))
    x.write(2)
    with grain.borrow(x) as view:
        assert view.shape == (3, 4)
        assert view.dtype == np.float32
        assert (view == 2).all()
        view[1] = 7
    assert x.read().result(timeout=LIMIT_S)[1].tolist() == [7] * 4
    with grain.borrow(x) as again:
        assert np.shares_memory(view, again)


def test_earlier_messages_are_done(any_lab: gl.GrainManager) -> None:
    """A view handed out while queued computes still write to it."""
    grain = any_lab.grain()
    x, one = grain.allocate(64), grain.allocate(64)
    one.write(1)
    for _ in range(100):
        grain.compute(add, inputs=[x, one], outputs=[x])
    with grain.borrow(x) as view:
        assert (view == 100).all()


def test_borrow_waits_for_a_running_kernel(tiny: gl.GrainManager) -> None:
    """A borrow that does not wait for what another thread posted before."""
    grain = tiny.grain()
    latch = Latch(grain)

    def work(number: int) -> None:
        if number == 0:
            with grain.borrow(latch._passed) as view:
                assert view[0] == 1
                assert latch.done.done()
        else:
            latch.open()

    in_threads(2, work)


def test_later_messages_wait_and_then_run_in_order(any_lab: gl.GrainManager) -> None:
    """A message that runs inside the borrow, or held-back ones that overtake each other."""
    grain = any_lab.grain()
    x = grain.allocate(4)
    with grain.borrow(x) as view:
        first = x.write(1)
        middle = x.read()
        last = x.write(2)
        assert not first.done()
        view[:] = 9
    assert middle.result(timeout=LIMIT_S).tolist() == [1] * 4
    assert first.done()
    assert last.result(timeout=LIMIT_S) is None
    assert x.read().result(timeout=LIMIT_S).tolist() == [2] * 4


def test_other_grains_go_on(any_lab: gl.GrainManager) -> None:
    """A borrow that stops the whole ring."""
    a, b = any_lab.grain("a"), any_lab.grain("b")
    x, y = a.allocate(4), b.allocate(4)
    with a.borrow(x):
        for k in range(30):
            y.write(float(k))
            assert y.read().result(timeout=LIMIT_S)[0] == k


def test_waiting_inside_for_what_is_held_back_raises_at_once(tiny: gl.GrainManager) -> None:
    """A thread that waits for itself, for ever."""
    grain = tiny.grain()
    x = grain.allocate(4)
    with grain.borrow(x):
        held = x.read()
        for wait in (held.result, held.exception, lambda: np.asarray(x)):
            with pytest.raises(gl.InvalidOption, match="leave the with block first"):
                wait()  # type: ignore[operator]
    held.result(timeout=LIMIT_S)


def test_an_exception_inside_ends_the_borrow(tiny: gl.GrainManager) -> None:
    """A grain that an exception leaves borrowed for ever."""
    grain = tiny.grain()
    x = grain.allocate(4)

    def failing() -> None:
        with grain.borrow(x) as view:
            view[:] = 3
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        failing()
    assert x.read().result(timeout=LIMIT_S).tolist() == [3] * 4


def test_two_handles_at_once(tiny: gl.GrainManager) -> None:
    """The inner block's end that releases what the outer one holds back."""
    grain = tiny.grain()
    x, y = grain.allocate(4), grain.allocate(4)
    with grain.borrow(x) as a, grain.borrow(y) as b:
        a[:] = 1
        b[:] = 2
        with grain.borrow(x) as c:
            assert np.shares_memory(a, c)
        held = grain.compute(add, inputs=[x, y], outputs=[y])
        assert not held.done()
        a[:] += 10
    held.result(timeout=LIMIT_S)
    assert y.read().result(timeout=LIMIT_S).tolist() == [13] * 4


def test_a_second_borrow_behind_held_back_messages_raises_at_once(
    tiny: gl.GrainManager,
) -> None:
    """A view that does not show an earlier message of the grain, or a wait for oneself."""
    grain = tiny.grain()
    x, y = grain.allocate(4), grain.allocate(4)
    with grain.borrow(x):
        y.write(5)
        with pytest.raises(gl.InvalidOption, match="grain is borrowed"):
            grain.borrow(y).__enter__()
    with grain.borrow(y) as view:
        assert view.tolist() == [5] * 4


def test_threads_borrow_one_after_the_other(any_lab: gl.GrainManager) -> None:
    """Two threads with views of one array at once: lost updates."""
    grain = any_lab.grain()
    x = grain.allocate(1, dtype=np.int64)

    def work(number: int) -> None:
        for _ in range(100):
            with grain.borrow(x) as view:
                value = int(view[0])
                any_lab.metrics()  # lets another thread in, if it may
                view[0] = value + 1
            grain.ping()

    in_threads(4, work)
    assert x.read().result(timeout=LIMIT_S)[0] == 400


def test_a_release_inside_is_held_back(tiny: gl.GrainManager) -> None:
    """A block reused under the view that is being written to."""
    grain = tiny.grain()
    x = grain.allocate(100)
    with grain.borrow(x) as view:
        held = x.release()
        block = _native.block_of(x)
        other = tiny.grain("other").allocate(100)
        assert _native.block_of(other) != block
        view[:] = 8
        assert not held.done()
    held.result(timeout=LIMIT_S)
    assert not other.read().result(timeout=LIMIT_S).any()


@pytest.mark.parametrize("limit", [256 << 20, 64 << 10])
def test_a_view_keeps_its_block_rented(
    make_lab: Callable[..., gl.GrainManager], limit: int
) -> None:
    """Memory that is lent again, or evicted, while a view of it is alive."""
    lab = make_lab("slots4", pool_limit_bytes=limit)
    grain = lab.grain()
    x = grain.allocate(1000)
    with grain.borrow(x) as view:
        view[:] = 6
    block = _native.block_of(x)
    x.release().result(timeout=LIMIT_S)
    assert lab.metrics().exported_blocks == 1
    assert lab.metrics().active_allocation_count == 0
    assert lab.metrics().used_pool_size_bytes == 4096
    for _ in range(20):  # with the small limit these have to evict
        others = [grain.allocate(n) for n in (1000, 1000, 3000, 5000)]
        for other in others:
            assert _native.block_of(other) != block
            other.write(1)
        grain.barrier().result(timeout=LIMIT_S)
        del others, other
    assert (view == 6).all()
    part = view[10:20]  # a view of the view keeps it as well
    del view
    gc.collect()
    assert lab.metrics().exported_blocks == 1
    assert part.tolist() == [6] * 10
    del part
    gc.collect()
    assert lab.metrics().exported_blocks == 0
    grain.barrier().result(timeout=LIMIT_S)
    assert lab.metrics().used_pool_size_bytes == 0


def test_borrow_of_what_is_no_live_handle_of_this_grain(tiny: gl.GrainManager) -> None:
    """A view of memory that is somebody else's, or nobody's; a grain left held by the refusal."""
    grain, other = tiny.grain("mine"), tiny.grain("other")
    x, y = grain.allocate(4), other.allocate(4)
    x.release()
    with pytest.raises(gl.StaleHandle, match="released"):
        grain.borrow(x).__enter__()
    with pytest.raises(gl.StaleHandle, match="belongs to grain 'other'"):
        grain.borrow(y).__enter__()
    with pytest.raises(gl.InvalidOption, match="no resident array"):
        grain.borrow(np.zeros(3)).__enter__()
    with pytest.raises(gl.InvalidOption, match="CUDA"):
        other.borrow(y, stream=object())
    for each in (grain, other):
        each.ping().result(timeout=LIMIT_S)


def test_a_borrow_is_entered_once_and_left_once(tiny: gl.GrainManager) -> None:
    """A grain that is let go twice, or held for ever; an AttributeError of ours."""
    grain = tiny.grain()
    x = grain.allocate(4)
    borrow = grain.borrow(x)
    with pytest.raises(gl.InvalidOption, match="was not entered"):
        borrow.__exit__(None, None, None)
    with borrow, pytest.raises(gl.InvalidOption, match="entered already"):
        borrow.__enter__()
    with pytest.raises(gl.InvalidOption, match="was not entered"):
        borrow.__exit__(None, None, None)
    with borrow as view:
        view[:] = 2
    assert x.read().result(timeout=LIMIT_S).tolist() == [2] * 4


@pytest.mark.parametrize("what", ["borrow", "checkpoint"])
def test_ctrl_c_says_that_the_work_goes_on(tiny: gl.GrainManager, what: str) -> None:
    """A KeyboardInterrupt without a word of what still runs."""
    grain = tiny.grain("k")
    x = grain.allocate(4)
    latch = Latch(grain)
    latch.wait_until_running()
    # A handler that runs in the wait, as Ctrl-C's does.
    before = signal.signal(signal.SIGALRM, lambda *_: signal.default_int_handler(2, None))
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt, match=r"grain 'k' may still run; grain.cancel\(\)"):
            grain.borrow(x).__enter__() if what == "borrow" else grain.checkpoint()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    latch.open()
    latch.done.result(timeout=LIMIT_S)
    with grain.borrow(x) as view:
        assert view.tolist() == [0] * 4


def test_borrow_with_everything_on_one_slow_ring(tiny: gl.GrainManager) -> None:
    """Held-back messages that are stranded when the ring is full at the end of the borrow."""
    grain, other = tiny.grain("a"), tiny.grain("b")
    x = grain.allocate(4)
    latch = None
    with grain.borrow(x):
        held = [x.write(1.0), x.read()]
        latch = Latch(tiny.grain("c", placement="dedicated"))
        pings = [other.ping() for _ in range(2)]
    latch.open()
    assert held[1].result(timeout=LIMIT_S).tolist() == [1] * 4
    for each in (*pings, latch.done):
        each.result(timeout=LIMIT_S)


def test_a_borrow_that_is_entered_and_dropped_holds_nothing_back(tiny: gl.GrainManager) -> None:
    """A grain that answers nobody any more, for a with block that was never written."""
    grain = tiny.grain("g")
    x = grain.allocate(4)
    with pytest.warns(RuntimeWarning, match="borrow of grain 'g' was entered and dropped.*with"):
        view = grain.borrow(x).__enter__()
    view[:] = 3
    assert set(x.read().result(LIMIT_S)) == {3}
    in_threads(1, lambda _: grain.ping().result(LIMIT_S))
    with grain.borrow(x) as again:
        assert set(again) == {3}


def test_a_recording_that_is_begun_and_dropped_records_nothing_more(tiny: gl.GrainManager) -> None:
    """A thread whose every later call, on any manager, is a step of a program nobody has."""
    grain = tiny.grain("g")
    with pytest.warns(RuntimeWarning, match="recording on grain 'g' was begun and dropped.*with"):
        grain.record().__enter__()
    grain.allocate(4).write(1).result(LIMIT_S)
    with grain.record() as program:
        grain.ping()
    assert program.run().result(LIMIT_S).iterations == 1


def test_a_borrow_without_a_view_holds_nothing_back(
    tiny: gl.GrainManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grain held back by a with block that was never entered."""
    grain = tiny.grain("g")
    x = grain.allocate(4)

    def none(_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(borrow._native, "view_of", none)
        failing = grain.borrow(x)
        with pytest.raises(MemoryError):
            failing.__enter__()
    grain.ping().result(LIMIT_S)
    in_threads(1, lambda _: grain.ping().result(LIMIT_S))
