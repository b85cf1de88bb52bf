"""Full rings, and barriers behind held-back messages."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, Latch, add, in_threads, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


def calls_of(grain: gl.Grain, x: gl.ResidentArray) -> list[Callable[[], object]]:
    large = np.zeros(x.size, np.float32)
    return [
        grain.ping,
        grain.barrier,
        lambda: grain.write(x, 1),
        lambda: grain.write(x, np.ones(x.size)),
        lambda: grain.read(x),
        lambda: grain.read(x, out=large),
        lambda: grain.compute(add, inputs=[x, x], outputs=[x]),
        lambda: grain.allocate(4),
        lambda: grain.allocate(4, name="n"),
        lambda: grain.release(x),
    ]


def tried_until_taken(call: Callable[[], Any]) -> Any:
    while True:
        with contextlib.suppress(gl.RingFull):
            return call()


@pytest.mark.parametrize("full_wait_s", [0, 0.02])
@pytest.mark.parametrize("size", [16, 1 << 20], ids=["page", "chunks"])
def test_ring_full_rejects_and_changes_nothing(
    make_lab: Callable[..., gl.GrainManager], full_wait_s: float, size: int
) -> None:
    """A rejected call that posted, wrote, rented or released something all the same."""
    lab = make_lab("slots4", full_wait_s=full_wait_s)
    grain = lab.grain()
    x = grain.allocate(size)
    x.write(5).result(timeout=LIMIT_S)
    grain.ping().result(timeout=LIMIT_S)
    with lab.quiesced():
        pings = [grain.ping() for _ in range(4)]
        before = lab.metrics()
        for call in calls_of(grain, x):
            with pytest.raises(gl.RingFull, match=r"ring 0 full: 4/4.*RingOptions.slots") as error:
                call()
            assert error.value.slots == 4  # type: ignore[attr-defined]
        after = lab.metrics()
        assert after.pending_message_count == before.pending_message_count == 4
        assert after.active_allocation_count == before.active_allocation_count
        assert after.used_pool_size_bytes == before.used_pool_size_bytes
        assert list(grain.handles) == ["a0"]
    for ping in pings:
        ping.result(timeout=LIMIT_S)
    assert (x.read().result(timeout=LIMIT_S) == 5).all()
    for call in calls_of(grain, x):  # every one of them works when tried again
        tried_until_taken(call)
        barrier = tried_until_taken(grain.barrier)
        barrier.result(timeout=LIMIT_S)


def test_a_post_waits_for_room(tiny: gl.GrainManager) -> None:
    """A full ring that rejects although full_wait_s is not over."""
    grain = tiny.grain()
    latch = Latch(grain)
    posted: list[gl.Completion] = []

    def work(number: int) -> None:
        if number == 0:
            wait_until(lambda: tiny.metrics().pending_message_count >= 4, "the ring never filled")
            latch.open()
        else:
            posted.extend(grain.ping() for _ in range(20))

    in_threads(2, work)
    for ping in posted:
        ping.result(timeout=LIMIT_S)


def test_held_back_messages_count_against_the_ring(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A borrow behind which messages pile up without end."""
    lab = make_lab("slots4", full_wait_s=0)
    grain = lab.grain()
    x = grain.allocate(1)
    with grain.borrow(x):
        held = [grain.ping() for _ in range(4)]
        with pytest.raises(gl.RingFull, match="leave"):
            grain.ping()
    for ping in held:
        ping.result(timeout=LIMIT_S)


@pytest.mark.parametrize("op", ["write", "read"])
def test_a_large_transfer_that_finds_no_room_behind_a_borrow_changes_nothing(
    make_lab: Callable[..., gl.GrainManager], op: str
) -> None:
    """RingFull says that nothing was written; some of the parts went through all the same."""
    lab = make_lab("slots4", full_wait_s=0.02)
    grain = lab.grain(dtype="uint8")
    x = grain.allocate(8 << 20)
    x.write(1).result(timeout=LIMIT_S)
    out = np.full(8 << 20, 9, np.uint8)
    calls = {
        "write": lambda: grain.write(x, np.full(8 << 20, 2, np.uint8)),
        "read": lambda: grain.read(x, out=out),
    }
    with grain.borrow(x), pytest.raises(gl.RingFull):
        calls[op]()
    grain.barrier().result(timeout=LIMIT_S)
    got = x.read().result(timeout=LIMIT_S)
    assert (got == 1).all()
    assert (out == 9).all()


def test_a_release_raced_by_two_threads_on_a_full_ring_happens_once(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """Both threads wait for room with the same handle: its block would be returned twice."""
    lab = make_lab("slots4")
    grain = lab.grain()
    outcomes: list[str] = []

    def race(x: gl.ResidentArray, number: int) -> None:
        try:
            grain.release(x)
            outcomes.append("released")
        except gl.StaleHandle:
            outcomes.append("stale")

    for _ in range(3):
        outcomes.clear()
        x = grain.allocate(8)
        grain.ping().result(timeout=LIMIT_S)
        latch = Latch(grain)
        pings = [grain.ping() for _ in range(4 - lab.metrics().pending_message_count)]

        def work(number: int, x: gl.ResidentArray = x, latch: Latch = latch) -> None:
            if number == 2:
                # One of the two is refused, or both wait for room: then the ring moves.
                for _ in range(200):
                    lab.metrics()
                latch.open()
            else:
                race(x, number)

        in_threads(3, work)
        for ping in pings:
            ping.result(timeout=LIMIT_S)
        assert sorted(outcomes) == ["released", "stale"]
        del latch, work
    grain.barrier().result(timeout=LIMIT_S)
    assert lab.metrics().active_allocation_count == 0
    # Blocks that are in the free list twice would now be lent twice.
    handles = [grain.allocate(8) for _ in range(6)]
    for k, handle in enumerate(handles):
        handle.write(float(k))
    for k, handle in enumerate(handles):
        assert handle.read().result(timeout=LIMIT_S).tolist() == [k] * 8


def test_a_barrier_waits_for_held_back_messages_of_its_ring(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A barrier that is done while an earlier message of another grain is held back."""
    lab = make_lab("default")
    a, b = lab.grain("a"), lab.grain("b")
    x = a.allocate(4)
    with a.borrow(x):
        held = x.write(1)
        barrier = b.barrier()
        behind = b.ping()
        with pytest.raises(TimeoutError):
            barrier.result(timeout=0.02)
        with pytest.raises(TimeoutError):
            behind.result(timeout=0.02)
    barrier.result(timeout=LIMIT_S)
    assert held.done()
    behind.result(timeout=LIMIT_S)


def test_a_barrier_does_not_wait_for_what_was_held_back_later(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A barrier that later messages can delay for ever."""
    lab = make_lab("default")
    a, b = lab.grain("a"), lab.grain("b")
    x, y = a.allocate(4), b.allocate(4)
    with a.borrow(x):
        with b.borrow(y):
            held = b.ping()
            barrier = b.barrier()
            later = x.write(1)
        barrier.result(timeout=LIMIT_S)
        assert held.done()
        assert not later.done()
    later.result(timeout=LIMIT_S)
