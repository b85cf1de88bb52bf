"""Closing: pending work, use afterwards, and what stays behind."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import gpures_lab as gl
from gpures_lab.grain import ending
from tests.grain.engines import LIMIT_S, RINGS, Latch, add, run_python

if TYPE_CHECKING:
    from collections.abc import Callable


def test_close_lets_pending_work_end(make_lab: Callable[..., gl.GrainManager]) -> None:
    """Acknowledged messages that a close throws away."""
    lab = make_lab("default")
    grain = lab.grain()
    x, one = grain.allocate(4), grain.allocate(4)
    one.write(1)
    steps = [grain.compute(add, inputs=[x, one], outputs=[x]) for _ in range(500)]
    last = x.read()
    lab.close()
    assert last.result(timeout=LIMIT_S).tolist() == [500] * 4
    assert all(step.done() for step in steps)


def test_close_twice_and_with(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A second close that raises, or waits for threads that are gone."""
    with make_lab() as lab:
        lab.grain().ping()
    lab.close()
    lab.close()
    assert lab.closed


def test_close_of_a_manager_that_never_ran(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A close that waits for a launch that never was."""
    make_lab().close()


def test_use_after_close(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A crash, a hang or an unclear error of any call after close."""
    lab = make_lab()
    grain = lab.grain()
    x = grain.allocate(4)
    done = x.read()
    lab.close()
    calls: list[Callable[[], object]] = [
        lambda: lab.grain("other"),
        lab.grain,
        lab.park,
        lambda: lab.quiesced().__enter__(),
        lab.metrics_frame,
        lab.__enter__,
        lambda: grain.allocate(1),
        lambda: grain.allocate(1, name="x"),
        lambda: grain.write(x, 1),
        lambda: grain.read(x),
        lambda: grain.compute(add, inputs=[x, x], outputs=[x]),
        lambda: grain.release(x),
        lambda: grain.borrow(x).__enter__(),
        grain.ping,
        grain.barrier,
        grain.cancel,
        grain.metrics,
        x.read,
        lambda: x.write(1),
        x.release,
    ]
    for call in calls:
        with pytest.raises(gl.RingClosed, match=r"closed.*gl\.manager"):
            call()
    assert done.result(timeout=LIMIT_S).tolist() == [0] * 4
    assert lab.metrics().engine_state == "TERMINATED"


def test_pending_of_a_borrowed_grain_is_answered_by_close(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A held-back message that nobody ever answers."""
    lab = make_lab()
    grain = lab.grain()
    x = grain.allocate(4)
    with grain.borrow(x):
        held = grain.write(x, 1)
        lab.close()
        with pytest.raises(gl.RingClosed, match="closed"):
            held.result(timeout=LIMIT_S)


def test_close_inside_quiesced_answers_what_is_pending(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A close that waits for work which its own caller holds still."""
    lab = make_lab()
    grain = lab.grain()
    grain.ping().result(timeout=LIMIT_S)
    closed = threading.Event()

    def close_inside() -> None:
        with lab.quiesced():
            pending.append(grain.ping())
            lab.close()
            closed.set()

    pending: list[gl.Completion] = []
    thread = threading.Thread(target=close_inside, daemon=True)
    thread.start()
    assert closed.wait(LIMIT_S), "close() never came back"
    thread.join(LIMIT_S)
    assert isinstance(pending[0].exception(timeout=LIMIT_S), gl.RingClosed)


def test_a_wait_in_another_thread_ends_with_close(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A waiter stranded by close."""
    lab = make_lab()
    grain = lab.grain()
    x = grain.allocate(1)
    found: list[BaseException | None] = []
    waiting = threading.Event()
    with grain.borrow(x):
        held = grain.ping()

        def wait() -> None:
            waiting.set()
            found.append(held.exception(timeout=LIMIT_S))

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        assert waiting.wait(LIMIT_S)
        lab.close()
        thread.join(LIMIT_S)
    assert isinstance(found[0], gl.RingClosed)


def test_close_waits_for_a_kernel_that_runs(make_lab: Callable[..., gl.GrainManager]) -> None:
    """Memory that goes while a kernel still writes to it."""
    lab = make_lab()
    latch = Latch(lab.grain())
    thread = threading.Thread(target=lab.close, daemon=True)
    thread.start()
    with pytest.raises(TimeoutError):
        latch.done.result(timeout=0.05)
    assert lab.metrics().engine_state == "DRAINING"
    latch.open()
    thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert latch.done.result(timeout=LIMIT_S).kernel == "wait_for_gate"


def test_unseen_failures_are_reported_once(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A failure that nobody hears of, or that is told at every close."""

    @gl.kernel
    def outside(i, x):  # type: ignore[no-untyped-def]
        x[i + 1] = 1

    lab = make_lab()
    grain = lab.grain()
    x = grain.allocate(4)
    for _ in range(5):
        grain.compute(outside, outputs=[x])
    assert grain.compute(outside, outputs=[x]).exception(timeout=LIMIT_S)  # looked at
    assert lab.metrics().unobserved_failures == 5
    with pytest.warns(RuntimeWarning, match=r"^5 messages failed.*OutOfBounds: request"):
        lab.close()
    lab.close()


def test_nothing_looks_live_after_close(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A handle that prints as if it held something; memory counted for nobody."""
    lab = make_lab()
    grain = lab.grain()
    x, y = grain.allocate(4, name="x"), grain.allocate(4)
    with grain.borrow(y) as view:
        pass
    lab.close()
    assert x.released
    assert repr(x) == "<ResidentArray x released>"
    assert dict(grain.handles) == {}
    metrics = lab.metrics()
    assert (metrics.active_allocation_count, metrics.total_allocated_bytes) == (0, 0)
    del x, y
    assert view.tolist() == [0] * 4
    assert lab.metrics().active_allocation_count == 0


def test_a_manager_is_not_copied(make_lab: Callable[..., gl.GrainManager]) -> None:
    """Two managers on one engine: closing the copy ends the original."""
    lab = make_lab()
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(gl.InvalidOption, match=r"not copied, nor pickled.*gl.manager\(\)"):
            make(lab)
    lab.grain().ping().result(timeout=LIMIT_S)


def test_a_view_survives_close(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A NumPy array over memory that close unmapped: a crash at the next access."""
    lab = make_lab()
    grain = lab.grain()
    x = grain.allocate(1000)
    x.write(3)
    with grain.borrow(x) as view:
        pass
    lab.close()
    del x, grain, lab
    gc.collect()
    view += 1
    assert (view == 4).all()


def test_objects_may_go_in_any_order_after_close(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A destructor that posts to, or reads, an engine that is gone."""
    lab = make_lab()
    grain = lab.grain()
    things = [grain.allocate(4), grain.ping(), grain.read(grain.allocate(3)), grain]
    lab.close()
    while things:
        things.pop(0)
        gc.collect()


def test_the_own_manager_is_made_again_after_close() -> None:
    """`gl.manager()` that hands out a closed manager."""
    first = gl.manager()
    assert gl.manager() is first
    first.close()
    second = gl.manager()
    try:
        assert second is not first
        second.grain().ping().result(timeout=LIMIT_S)
    finally:
        second.close()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def mapped_kib() -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.partition("VmSize:")[2].split()[0])


def resident_kib() -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.partition("VmRSS:")[2].split()[0])


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts in /proc (Linux)")
def test_two_hundred_managers_leave_nothing_behind() -> None:
    """A thread, a descriptor, a mapping or a megabyte lost by each open and close."""

    def cycle() -> None:
        with gl.GrainManager(device="host", ring=RINGS["slots4"]) as lab:
            grain = lab.grain()
            lab.grain("own", placement="dedicated").ping()
            x = grain.allocate(100_000)
            x.write(1)
            x.read().result(timeout=LIMIT_S)

    for _ in range(20):
        cycle()
    gc.collect()
    before = threads(), descriptors(), mapped_kib(), resident_kib()
    for _ in range(200):
        cycle()
    gc.collect()
    assert threads() <= before[0]
    assert descriptors() <= before[1]
    assert mapped_kib() - before[2] < 64 << 10  # one manager reserves more than that
    assert resident_kib() - before[3] < 8 << 10


def _let_go(held: list[object]) -> None:
    held.clear()
    gc.collect()


def test_a_manager_that_nobody_holds_is_closed_by_the_collector() -> None:
    """Each `lab = GrainManager()` of a cell that runs again keeps its memory and threads."""
    threads = threading.active_count(), len(os.listdir("/proc/self/task"))
    lab = gl.GrainManager(device="host")
    grain = lab.grain("held by its handles, which it holds")
    x = grain.allocate(1_000, name="x")
    x.write(1).result(timeout=30)
    with grain.record() as program:
        grain.ping()
    gone = weakref.ref(lab)
    engine = lab._engine
    held = [lab, grain, x, program]
    del lab, grain, x, program
    with pytest.warns(ResourceWarning, match=r"dropped without close\(\): 1 grain"):
        _let_go(held)
    assert gone() is None
    limit = time.monotonic() + 30
    while engine.state != "TERMINATED" or ending._dropped:
        assert time.monotonic() < limit
        time.sleep(0.001)
    assert (threading.active_count(), len(os.listdir("/proc/self/task"))) <= threads


def test_a_manager_with_a_durable_grain_stays_until_exit_saves_it(tmp_path: Path) -> None:
    """An acknowledged write that goes with the name of its manager."""
    url = f"sqlite:///{tmp_path}/state.db"
    done = run_python(f"""
        import gc, gpures_lab as gl
        lab = gl.GrainManager(device="host", state_url={url!r}, blobs_url={str(tmp_path)!r})
        lab.grain("kept", durable=True).allocate(4, name="x").write(3).result(timeout=30)
        del lab
        gc.collect()
    """)
    assert done.returncode == 0, done.stderr
    with gl.GrainManager(device="host", state_url=url, blobs_url=str(tmp_path)) as lab:
        assert lab.restore("kept").handles["x"].read().result(timeout=30).tolist() == [3] * 4
