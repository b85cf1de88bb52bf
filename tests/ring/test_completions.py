"""Waiting for one answer: again, elsewhere, with a limit, without a limit, after close."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, Latch, in_threads, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable


@gl.kernel
def outside(i, x):  # type: ignore[no-untyped-def]
    x[i + 1] = 1


def test_a_result_can_be_taken_again(tiny: gl.GrainManager) -> None:
    """An answer that is consumed by the first look."""
    x = tiny.grain().allocate(4)
    read = x.read()
    first = read.result(timeout=LIMIT_S)
    assert read.result() is first
    assert read.exception() is None


def test_an_error_can_be_taken_again(tiny: gl.GrainManager) -> None:
    """An error that is raised once and then looks like success."""
    grain = tiny.grain()
    failed = grain.compute(outside, outputs=[grain.allocate(4)])
    for _ in range(3):
        with pytest.raises(gl.OutOfBounds):
            failed.result(timeout=LIMIT_S)
    assert isinstance(failed.exception(), gl.OutOfBounds)


def test_the_same_completion_from_many_threads(tiny: gl.GrainManager) -> None:
    """A waiter that takes the wake-up of another."""
    grain = tiny.grain()
    x = grain.allocate(4)
    latch = Latch(grain)
    x.write(6)
    read = x.read()
    seen: list[list[float]] = []

    def work(number: int) -> None:
        if number == 0:
            latch.open()
        seen.append(read.result(timeout=LIMIT_S).tolist())

    in_threads(5, work)
    assert seen == [[6] * 4] * 5


def test_a_timeout_leaves_the_request_alive(tiny: gl.GrainManager) -> None:
    """A timeout that drops the message, or that is an error of our own instead of the builtin."""
    grain = tiny.grain()
    latch = Latch(grain)
    ping = grain.ping()
    with pytest.raises(TimeoutError, match=rf"request {ping.request} \(Noop\).*still live"):
        ping.result(timeout=0.01)
    with pytest.raises(TimeoutError):
        ping.result(0)
    with pytest.raises(TimeoutError):
        ping.exception(timeout=0)
    latch.open()
    assert ping.result(timeout=LIMIT_S) is None


@pytest.mark.parametrize("timeout", [-1, -0.5, float("nan")])
def test_a_bad_timeout(tiny: gl.GrainManager, timeout: float) -> None:
    """A negative limit that waits for ever."""
    ping = tiny.grain().ping()
    with pytest.raises(gl.InvalidOption, match="timeout"):
        ping.result(timeout=timeout)
    ping.result(timeout=LIMIT_S)


def test_a_timeout_that_is_no_number(tiny: gl.GrainManager) -> None:
    """A crash in the conversion of the limit, or another library's error."""
    for given in ("1", True, [1]):
        with pytest.raises(gl.InvalidOption, match="give seconds"):
            tiny.grain().ping().result(timeout=given)  # type: ignore[arg-type]


def test_done_alone_makes_progress(any_lab: gl.GrainManager) -> None:
    """A `while not c.done()` loop that never ends, since nobody harvests."""
    grain = any_lab.grain()
    for _ in range(50):
        ping = grain.ping()
        wait_until(ping.done, "a ping was never answered")


def test_done_never_waits(tiny: gl.GrainManager) -> None:
    """done() that blocks on a running kernel."""
    latch = Latch(tiny.grain())
    assert not latch.done.done()
    latch.open()
    latch.done.result(timeout=LIMIT_S)
    assert latch.done.done()


def test_answers_stay_after_close(make_lab: Callable[..., gl.GrainManager]) -> None:
    """Answers that go with the manager."""
    lab = make_lab()
    grain = lab.grain()
    x = grain.allocate(3)
    read, failed = x.read(), grain.compute(outside, outputs=[x])
    with pytest.warns(RuntimeWarning, match=f"request {failed.request} "):
        lab.close()
    assert read.done()
    assert failed.done()
    assert read.result().tolist() == [0] * 3
    with pytest.raises(gl.OutOfBounds):
        failed.result()


def test_fields_of_an_error(tiny: gl.GrainManager) -> None:
    """An error that names neither request, kernel nor grain."""
    grain = tiny.grain("scores")
    failed = grain.compute(outside, outputs=[grain.allocate(4)])
    error = failed.exception(timeout=LIMIT_S)
    assert isinstance(error, gl.OutOfBounds)
    assert error.request == failed.request  # type: ignore[attr-defined]
    assert error.grain == "scores"  # type: ignore[attr-defined]
    assert error.kernel == "outside"  # type: ignore[attr-defined]
    assert "flat index 4 of array x" in str(error)
    assert failed.grain is grain


def test_compute_result_has_the_workers_times(tiny: gl.GrainManager) -> None:
    """Times that are not of this message: service beyond the round trip."""
    grain = tiny.grain()
    x = grain.allocate(1000)
    grain.compute("kernels/VectorAdd", inputs=[x, x], outputs=[x]).result(timeout=LIMIT_S)
    result = grain.compute("kernels/VectorAdd", inputs=[x, x], outputs=[x]).result(timeout=LIMIT_S)
    assert (result.cache_hit, result.driver) == (True, "host")
    assert result.kernel.startswith("kernels/")
    assert 0 < result.execution_time_ns <= result.round_trip_ns
    assert result.queue_ns <= result.round_trip_ns
