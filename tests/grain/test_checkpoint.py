"""`checkpoint`, `restore`, `state`, `discard`: what comes back, and what is refused."""

from __future__ import annotations

import asyncio
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, Latch, add, borrowed_elsewhere, kept

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# Managers of one store take each other's grains over here; at its close the older one says so.
pytestmark = pytest.mark.filterwarnings("ignore:durable grain:RuntimeWarning")


@pytest.fixture
def lab(make_lab: Callable[..., gl.GrainManager], urls: dict[str, str]) -> gl.GrainManager:
    return make_lab("slots4", **urls)


@pytest.fixture
def second(make_lab: Callable[..., gl.GrainManager], urls: dict[str, str]) -> gl.GrainManager:
    """Return a manager that knows nothing of the first one but its store."""
    return make_lab("default", **urls)


def test_a_grain_comes_back_as_it_was(lab: gl.GrainManager, second: gl.GrainManager) -> None:
    """A name, dtype, shape, memory type, value or state that is lost; a default dtype forgotten."""
    grain = lab.grain("survivor", dtype=np.float64)
    data = {
        "half": np.linspace(-1, 1, 7, dtype=np.float16),
        "mask": np.array([[True, False], [False, True]]),
        "wave": np.exp(1j * np.arange(300_000)),
        "one": np.array([5], np.int8),
    }
    for name, array in data.items():
        grain.allocate(
            array.shape,
            dtype=array.dtype,
            name=name,
            memory_type="pinned" if name == "one" else "device",
        ).write(array)
    unnamed = grain.allocate(3)
    unnamed.write([1, 2, 3])
    grain.state.update({"epoch": 3, "log": [0.5, None, {"ü": True}]})
    assert kept(grain.checkpoint()) == 1

    back = second.restore("survivor")
    assert list(back.handles) == [*data, unnamed.name]
    for name, array in data.items():
        handle = back.handles[name]
        assert handle.dtype == array.dtype
        np.testing.assert_array_equal(handle.read().result(LIMIT_S), array)
    assert back.handles["one"].memory_type == "pinned"
    assert back.handles[unnamed.name].read().result(LIMIT_S).tolist() == [1, 2, 3]
    assert back.state == {"epoch": 3, "log": [0.5, None, {"ü": True}]}
    assert back.dtype == np.float64
    assert kept(back.checkpoint()) == 2  # it goes on from there


def test_the_cut_is_at_the_call(lab: gl.GrainManager, second: gl.GrainManager) -> None:
    """A message posted after the call that is in the checkpoint, or one before it that is not."""
    grain = lab.grain("cut")
    x, y = grain.allocate(300_000, name="x"), grain.allocate(4, name="y")
    latch = Latch(lab.grain("other"))  # the ring is busy: every message waits behind it
    latch.wait_until_running()
    x.write(1)
    y.write(1)
    latch.open()
    done = grain.checkpoint()
    x.write(2)
    y.write(2)
    assert kept(done) == 1
    back = second.restore("cut")
    assert set(back.handles["x"].read().result(LIMIT_S)) == {1}
    assert set(back.handles["y"].read().result(LIMIT_S)) == {1}
    assert set(x.read().result(LIMIT_S)) == {2}


def test_all_arrays_are_of_one_moment(lab: gl.GrainManager, second: gl.GrainManager) -> None:
    """Messages of another thread between the reads of two arrays."""
    grain = lab.grain("moment")
    x, y = grain.allocate(100_000, name="x"), grain.allocate(100_000, name="y")
    end = threading.Event()

    def work() -> None:
        step = 0
        while not end.is_set():
            step += 1
            # x is y or one ahead, at every moment of the ring.
            x.write(step)
            y.write(step).result(LIMIT_S)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        for round_ in range(5):
            assert kept(grain.checkpoint()) == round_ + 1
            back = second.restore("moment")
            values = [set(back.handles[name].read().result(LIMIT_S)) for name in "xy"]
            assert all(len(each) == 1 for each in values)
            assert values[0].pop() - values[1].pop() in {0, 1}
            back.discard()
    finally:
        end.set()
        thread.join(LIMIT_S)


def test_the_cut_waits_for_programs_of_others_posted_before(
    lab: gl.GrainManager, second: gl.GrainManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory copied while another grain's program, in a slot already, changes it."""
    grain, other = lab.grain("cut"), lab.grain("other")
    x = grain.allocate(300_000, name="x")
    x.write(1).result(LIMIT_S)
    with other.record() as program:
        x.write(2)
    latch = Latch(other)
    latch.wait_until_running()
    ran = program.run()
    copying = threading.Event()
    read_all = gl.Grain._read_all

    def slowly(self: gl.Grain, *arguments: Any) -> None:
        copying.set()
        read_all(self, *arguments)

    monkeypatch.setattr(gl.Grain, "_read_all", slowly)
    done: list[gl.Completion[int]] = []
    thread = threading.Thread(target=lambda: done.append(grain.checkpoint()), daemon=True)
    thread.start()
    assert copying.wait(LIMIT_S)
    latch.open()
    thread.join(LIMIT_S)
    assert kept(done[0]) == 1
    ran.result(LIMIT_S)
    assert set(second.restore("cut").handles["x"].read().result(LIMIT_S)) == {2}


def test_a_program_of_another_grain_waits_for_the_end_of_a_cut(lab: gl.GrainManager) -> None:
    """Memory copied while another grain's program, posted later, changes it."""
    grain, other, third = lab.grain("cut"), lab.grain("other"), lab.grain("third")
    x = grain.allocate(4, name="x")
    with other.record() as program:
        x.write(2)
    assert grain._begin_cut()
    try:
        ran = program.run()
        behind = other.ping()
        third.ping().result(LIMIT_S)  # the ring goes on
        out = np.empty(16, np.uint8)
        grain._read_all([(x, out)])
        assert set(out) == {0}
        assert not ran.done()
        assert not behind.done()
    finally:
        grain._end_cut()
    assert ran.result(LIMIT_S).iterations == 1
    behind.result(LIMIT_S)
    assert set(x.read().result(LIMIT_S)) == {2}


def test_a_checkpoint_before_the_first_message(
    lab: gl.GrainManager, second: gl.GrainManager
) -> None:
    """A wait that asks a worker which nothing has started yet: a crash."""
    lab.grain("g").state["n"] = 5
    assert kept(lab.grain("g").checkpoint()) == 1
    lab.grain("g").deactivate().result(LIMIT_S)
    assert second.restore("g").state == {"n": 5}


def test_a_copy_is_no_message(lab: gl.GrainManager) -> None:
    """Other grains' messages behind a copy of 100 MiB in parts (on the host)."""
    grain = lab.grain("g")
    grain.allocate(300_000, name="x").write(1).result(LIMIT_S)
    before = lab.metrics().total_messages_processed
    kept(grain.checkpoint())
    assert lab.metrics().total_messages_processed == before


def test_an_older_checkpoint_is_not_overwritten(
    lab: gl.GrainManager, second: gl.GrainManager
) -> None:
    """A fresh process, or a second writer, that replaces what it never saw."""
    grain = lab.grain("k")
    grain.allocate(3, name="x").write(1)
    assert kept(grain.checkpoint()) == 1
    fresh = second.grain("k")
    fresh.allocate(3, name="x").write(9)
    with pytest.raises(gl.StateConflict, match=r"etag 1, expected 0.*replace=True"):
        kept(fresh.checkpoint())
    assert kept(fresh.checkpoint(replace=True)) == 2
    with pytest.raises(gl.StateConflict, match="etag 2, expected 1"):
        kept(grain.checkpoint())
    with pytest.raises(gl.StateConflict, match="1 live allocation "):
        lab.restore("k")
    grain.discard()
    assert lab.restore("k").handles["x"].read().result(LIMIT_S).tolist() == [9, 9, 9]


def test_a_repr_makes_no_files(make_lab: Callable[..., gl.GrainManager], tmp_path: Path) -> None:
    """A repr that makes a database, or waits for one."""
    lab = make_lab(state_url=f"sqlite:///{tmp_path / 'none' / 'state.sqlite'}")
    assert "restore" not in repr(lab.grain("g"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "value",
    [np.float32(1), (1, 2), {1: 2}, {"deep": [object()]}, b"x", {1, 2}, 1 << 15_000],
    ids=lambda value: type(value).__name__,
)
def test_state_is_checked_when_it_is_set(lab: gl.GrainManager, value: Any) -> None:
    """A value that the checkpoint cannot keep, noticed hours later."""
    grain = lab.grain("s")
    with pytest.raises(gl.InvalidOption, match=r"state\['v'\]"):
        grain.state["v"] = value
    grain.state["list"] = []
    grain.state["list"].append(value)  # type: ignore[union-attr, arg-type]
    with pytest.raises(gl.InvalidOption, match=r"state\['list'\]"):
        grain.checkpoint()
    grain.ping().result(LIMIT_S)  # nothing is held back


def test_a_failure_nobody_looked_at_is_reported_once(lab: gl.GrainManager) -> None:
    """A fire-and-forget error that a checkpoint makes permanent without a word."""
    grain = lab.grain("g")
    x = grain.allocate(4)
    reach = gl.cpp_kernel("reach", "const float* x, float* z", "z[i] = x[i + 1000];")
    grain.compute(reach, inputs=[x], outputs=[x])
    with pytest.warns(RuntimeWarning, match="1 message failed and nobody looked"):
        kept(grain.checkpoint())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept(grain.checkpoint())


def test_a_failed_checkpoint_that_nobody_looked_at_is_reported(lab: gl.GrainManager) -> None:
    """A checkpoint that silently was none."""
    grain, other = lab.grain("g"), lab.grain("g2")
    grain.allocate(4)
    kept(grain.checkpoint())
    grain.discard()
    failed = grain.checkpoint()
    assert isinstance(failed.exception(LIMIT_S), gl.StateConflict)
    grain.checkpoint()
    lab._saver.drain()
    with pytest.warns(RuntimeWarning, match=r"StateConflict: request \d+ \(Checkpoint\)"):
        other.checkpoint()


def test_checkpoints_follow_each_other(lab: gl.GrainManager, second: gl.GrainManager) -> None:
    """Two at once: the later contents under the earlier etag, or a conflict with oneself."""
    grain = lab.grain("g")
    x = grain.allocate(1000, name="x")
    done = []
    for n in range(1, 8):
        x.write(n)
        done.append(grain.checkpoint())
    assert [kept(each) for each in done] == list(range(1, 8))
    assert set(second.restore("g").handles["x"].read().result(LIMIT_S)) == {7}


def test_a_checkpoint_can_be_awaited(lab: gl.GrainManager) -> None:
    """A completion that asyncio cannot wait for."""
    grain = lab.grain("g")
    grain.allocate(4)

    async def both() -> list[int]:
        return [await grain.checkpoint(), await grain.checkpoint()]

    assert asyncio.run(both()) == [1, 2]


def test_inside_a_borrow_it_is_refused_at_once(lab: gl.GrainManager) -> None:
    """A wait for a hold that the waiting thread itself has."""
    grain = lab.grain("g")
    x = grain.allocate(4)
    with grain.borrow(x), pytest.raises(gl.InvalidOption, match="leave the with block"):
        grain.checkpoint()
    kept(grain.checkpoint())


def test_while_another_thread_borrows_it_waits_for_its_limit(
    make_lab: Callable[..., gl.GrainManager], urls: dict[str, str]
) -> None:
    """A checkpoint that waits for ever."""
    lab = make_lab(full_wait_s=0.05, **urls)
    grain = lab.grain("g")
    x = grain.allocate(4)
    with borrowed_elsewhere(grain, x), pytest.raises(gl.RingFull, match="borrowed"):
        grain.checkpoint()
    kept(grain.checkpoint())


@pytest.mark.parametrize("held", [False, True], ids=["in slots", "on a stream"])
def test_a_long_program_is_waited_for(
    make_lab: Callable[..., gl.GrainManager],
    urls: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    held: bool,
) -> None:
    """`ring 0 full: 1/1024`, or `is borrowed`, of a grain whose kernel takes its time."""
    on_streams = gl.RingOptions(dma_above_bytes=0, wide_above_bytes=0)
    lab = make_lab(on_streams if held else "default", full_wait_s=0.0, **urls)
    grain = lab.grain("g")
    x = grain.allocate(4, name="x")
    latch = Latch(grain)
    latch.wait_until_running()
    x.write(2)
    done: list[gl.Completion[int]] = []
    waits = threading.Event()
    read_all, sleep = gl.Grain._read_all, time.sleep

    def noticed(*arguments: Any) -> Any:
        waits.set()
        return (sleep if held else read_all)(*arguments)

    if held:
        monkeypatch.setattr(time, "sleep", noticed)
    else:
        monkeypatch.setattr(gl.Grain, "_read_all", noticed)
    thread = threading.Thread(target=lambda: done.append(grain.checkpoint()), daemon=True)
    thread.start()
    assert waits.wait(LIMIT_S)
    thread.join(0.05)  # it takes longer than full_wait_s
    assert thread.is_alive()
    monkeypatch.undo()
    latch.open()
    thread.join(LIMIT_S)
    assert kept(done[0]) == 1
    back = make_lab("default", **urls).restore("g")
    assert set(back.handles["x"].read().result(LIMIT_S)) == {2}


def test_the_kernels_it_used_are_named(lab: gl.GrainManager) -> None:
    """A restored grain whose kernels nobody remembers."""
    grain = lab.grain("g")
    x = grain.allocate(4)
    grain.compute(add, inputs=[x, x], outputs=[x])
    grain.compute("kernels/Copy", inputs=[x], outputs=[grain.allocate(4)])
    kept(grain.checkpoint())
    manifest = lab._saver.store().latest("g")
    assert manifest is not None
    assert set(manifest.kernels) == {"kernels/Add", "kernels/Copy"}
