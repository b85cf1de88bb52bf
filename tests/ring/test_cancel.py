"""grain.cancel(): what is dropped, what never is."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, Latch, add

if TYPE_CHECKING:
    from collections.abc import Callable


def cancelled(completion: gl.Completion) -> bool:
    return isinstance(completion.exception(timeout=LIMIT_S), gl.Cancelled)


def test_queued_work_is_dropped_and_tables_are_not_touched(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A cancel that drops an Allocate or Release (tables would drift), or drops nothing."""
    lab = make_lab("default")
    grain = lab.grain()
    x, y = grain.allocate(4), grain.allocate(4)
    x.write(1).result(timeout=LIMIT_S)
    with lab.quiesced():
        work = [
            x.write(2),
            grain.read(x),
            grain.compute(add, inputs=[x, x], outputs=[x]),
            x.write(np.zeros(4)),
        ]
        kept = [grain.ping(), grain.barrier(), y.release()]
        z = grain.allocate(4)
        grain.cancel()
        after = x.read()
    assert all(cancelled(each) for each in work)
    for each in kept:
        assert each.result(timeout=LIMIT_S) is None
    assert after.result(timeout=LIMIT_S).tolist() == [1] * 4
    z.write(3)
    assert z.read().result(timeout=LIMIT_S).tolist() == [3] * 4


def test_only_this_grains_work_is_dropped(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A cancel that hits the other grains of the ring."""
    lab = make_lab("default")
    a, b = lab.grain("a"), lab.grain("b")
    x, y = a.allocate(4), b.allocate(4)
    with lab.quiesced():
        first, second = x.write(1), y.write(1)
        a.cancel()
    assert cancelled(first)
    assert second.result(timeout=LIMIT_S) is None
    assert y.read().result(timeout=LIMIT_S).tolist() == [1] * 4


def test_the_running_kernel_ends_and_what_follows_is_dropped(tiny: gl.GrainManager) -> None:
    """A cancel that waits for the kernel, or that a busy worker never sees."""
    grain = tiny.grain()
    latch = Latch(grain)
    latch.wait_until_running()
    read = latch._gate.read()
    grain.cancel()
    latch.open()
    latch.done.result(timeout=LIMIT_S)
    assert cancelled(read)


def test_held_back_work_is_dropped_at_once(tiny: gl.GrainManager) -> None:
    """A cancelled message that waits for the end of the borrow to say so."""
    grain = tiny.grain()
    x = grain.allocate(4)
    with grain.borrow(x):
        write = x.write(1)
        kept = grain.ping()
        grain.cancel()
        assert write.done()
        assert cancelled(write)
        assert not kept.done()
    kept.result(timeout=LIMIT_S)
    assert x.read().result(timeout=LIMIT_S).tolist() == [0] * 4


def test_a_large_transfer_is_cancelled_as_one(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A message in parts that is answered by one part and later written to by another."""
    lab = make_lab("default")
    grain = lab.grain(dtype="uint8")
    x = grain.allocate(5 << 20)
    with lab.quiesced():
        out = np.full(5 << 20, 7, np.uint8)
        read = grain.read(x, out=out)
        grain.cancel()
    assert cancelled(read)
    assert (out == 7).all()


def test_many_cancels_in_a_row(make_lab: Callable[..., gl.GrainManager]) -> None:
    """More cancels than there are entries: a wait for room that never comes."""
    lab = make_lab("default")
    grain = lab.grain()
    x = grain.allocate(4)
    x.read().result(timeout=LIMIT_S)
    writes: list[gl.Completion] = []
    ended = threading.Event()

    def work() -> None:
        with lab.quiesced():
            for k in range(50):
                writes.append(x.write(float(k)))
                grain.cancel()
            ended.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ended.wait(LIMIT_S), "cancel() never came back"
    thread.join(LIMIT_S)
    assert all(cancelled(each) for each in writes)
    assert x.read().result(timeout=LIMIT_S).tolist() == [0] * 4


def test_cancels_of_more_grains_than_entries_do_not_hang(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A cancel without a free entry on a ring that stands still: it must end with an error."""
    lab = make_lab("default", full_wait_s=0.05)
    grains = [lab.grain(f"g{k}") for k in range(12)]
    handles = [grain.allocate(1) for grain in grains]
    handles[-1].read().result(timeout=LIMIT_S)
    outcomes: list[bool] = []
    writes: list[gl.Completion] = []
    ended = threading.Event()

    def work() -> None:
        with lab.quiesced():
            for grain, handle in zip(grains, handles, strict=True):
                writes.append(handle.write(1))
                try:
                    grain.cancel()
                    outcomes.append(True)
                except gl.RingFull:
                    outcomes.append(False)
            ended.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    assert ended.wait(LIMIT_S), "cancel() never came back"
    thread.join(LIMIT_S)
    assert outcomes == [True] * 8 + [False] * 4
    assert [cancelled(each) for each in writes] == outcomes


def test_cancel_under_traffic(any_lab: gl.GrainManager) -> None:
    """An entry used again while it still covers messages: later ones would be dropped too."""
    grain = any_lab.grain()
    x = grain.allocate(1)
    for k in range(300):
        write = x.write(float(k))
        grain.cancel()
        last = x.write(float(-k))
        assert last.result(timeout=LIMIT_S) is None, "posted after the cancel"
        assert write.done()
        assert x.read().result(timeout=LIMIT_S)[0] == -k


def test_cancel_with_nothing_queued(tiny: gl.GrainManager) -> None:
    """A cancel that drops the next message."""
    grain = tiny.grain()
    grain.cancel()
    x = grain.allocate(1)
    grain.cancel()
    x.write(1).result(timeout=LIMIT_S)


def test_cancelled_messages_are_no_unseen_failures(tiny: gl.GrainManager) -> None:
    """A warning at close about what the user dropped himself."""
    grain = tiny.grain()
    x = grain.allocate(1)
    with tiny.quiesced():
        x.write(1)
        grain.cancel()
    grain.ping().result(timeout=LIMIT_S)
    assert tiny.metrics().unobserved_failures == 0


@pytest.mark.parametrize("cause", ["error", "cancel"])
def test_a_barrier_completes_when_what_it_waits_for_failed(
    tiny: gl.GrainManager, cause: str
) -> None:
    """A barrier that waits for success."""

    @gl.kernel
    def outside(i, x):  # type: ignore[no-untyped-def]
        x[i + 1] = 1

    grain = tiny.grain()
    x = grain.allocate(1)
    if cause == "error":
        failed = grain.compute(outside, outputs=[x])
        assert grain.barrier().result(timeout=LIMIT_S) is None
        assert isinstance(failed.exception(), gl.OutOfBounds)
    else:
        with grain.borrow(x):
            dropped = x.write(1)
            barrier = grain.barrier()
            grain.cancel()
        assert barrier.result(timeout=LIMIT_S) is None
        assert cancelled(dropped)
