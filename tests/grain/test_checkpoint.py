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
from tests.grain.engines import LIMIT_S, Latch, add, borrowed_elsewhere

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


def kept(completion: gl.Completion[int]) -> int:
    return completion.result(timeout=LIMIT_S)


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


def test_restore_says_what_is_missing(lab: gl.GrainManager) -> None:
    """An empty grain where the user expected one."""
    with pytest.raises(gl.StateConflict, match="no checkpoint"):
        lab.restore("never")


def test_a_fresh_grain_says_what_brings_it_back(
    lab: gl.GrainManager, second: gl.GrainManager
) -> None:
    """A user who does not know that there is a checkpoint."""
    grain = lab.grain("survivor")
    grain.allocate(1000, name="x")
    assert "restore" not in repr(grain)
    kept(grain.checkpoint())
    assert "restore" not in repr(grain)
    text = repr(second.grain("survivor"))
    assert "checkpoint 1 of 2" in text
    assert "lab.restore('survivor') brings it back" in text
    second.restore("survivor")
    assert "restore" not in repr(second.grain("survivor"))


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


def test_discard_forgets_all_but_the_checkpoint(lab: gl.GrainManager) -> None:
    """Old state in a grain that was meant to begin anew."""
    grain = lab.grain("g")
    x = grain.allocate(4, name="x")
    grain.state["n"] = 1
    kept(grain.checkpoint())
    grain.discard()
    assert x.released
    assert (dict(grain.handles), dict(grain.state)) == ({}, {})
    assert "lab.restore('g')" in repr(grain)
    assert lab.restore("g").state == {"n": 1}


def test_a_restore_beyond_the_pool_leaves_an_empty_grain(
    lab: gl.GrainManager, make_lab: Callable[..., gl.GrainManager], urls: dict[str, str]
) -> None:
    """Half a grain."""
    grain = lab.grain("g")
    grain.allocate(1000, name="small").write(1)
    grain.allocate(1 << 20, name="large").write(1)
    kept(grain.checkpoint())
    small = make_lab(pool_limit_bytes=1 << 20, **urls)
    with pytest.raises(gl.PoolExhausted):
        small.restore("g")
    assert dict(small.grain("g").handles) == {}


KEYS = ["../../etc/passwd", "a/b\\c", "nul\0nul", "ü" * 256, "🜚", "  ", "'; drop table x; --", "%s"]


@pytest.mark.parametrize("key", KEYS, ids=ascii)
def test_any_key_works(lab: gl.GrainManager, tmp_path: Path, key: str) -> None:
    """A key that leaves the store's folder, ends a statement, or collides with another."""
    grain, other = lab.grain(key), lab.grain(key + "x" if len(key.encode()) < 512 else key[:-1])
    grain.allocate(3, name="x").write(1)
    other.allocate(3, name="x").write(2)
    kept(grain.checkpoint())
    kept(other.checkpoint())
    grain.discard()
    assert lab.restore(key).handles["x"].read().result(LIMIT_S).tolist() == [1, 1, 1]
    assert {path.name for path in tmp_path.iterdir()} <= {
        "state.sqlite",
        "state.sqlite-wal",
        "state.sqlite-shm",
        "blobs",
    }


@pytest.mark.parametrize("key", ["", "x" * 513, "\ud800", 3, None], ids=ascii)
def test_what_is_no_key_is_refused(lab: gl.GrainManager, key: Any) -> None:
    """A clear word instead of an error from below."""
    for call in (lab.grain, lab.restore):
        with pytest.raises(gl.InvalidOption, match="key"):
            call(key)


def test_a_named_program_comes_back(lab: gl.GrainManager, second: gl.GrainManager) -> None:
    """A program that does something else after a restart, or that only its own process can run."""
    grain, other = lab.grain("g"), lab.grain("other")
    x, y = grain.allocate((4, 5), name="x"), grain.allocate(20, name="y")
    z = other.allocate(3, name="z", dtype=np.int16)

    @gl.kernel
    def grow(i, j, u, v, a, b):  # type: ignore[no-untyped-def]  # noqa: PLR0917
        v[i, j] = a * u[i, j] + b

    def record(name: str | None) -> gl.Program:
        with grain.record(name=name) as program:
            grain.compute(grow, inputs=[x], outputs=[x], params={"a": 0.5, "b": np.float32(2)})
            grain.compute("kernels/Saxpy", inputs=[y, y], outputs=[y], params={"a": 1}, n=7)
            grain.write(y, 3, offset=None)
            grain.write(y, [1, 2], offset=4)
            other.write(z, 9)
            grain.ping()
            grain.barrier()
        return program

    program = record("step")
    record("dropped")
    assert grain.program("step") is program
    program.run(repeat=3).result(LIMIT_S)
    expected = [handle.read().result(LIMIT_S) for handle in (x, y)]
    for handle in (x, y, z):
        handle.write(0)
    kept(grain.checkpoint())
    kept(other.checkpoint())

    back = second.restore("g")
    with pytest.raises(gl.StateConflict, match=r"no program 'dropped'; it has step"):
        back.program("dropped")
    with pytest.raises(gl.UnknownKernel, match=r"grain.program\('step', grow\)"):
        back.program("step")
    with pytest.raises(gl.StateConflict, match="restore that grain first"):
        back.program("step", grow)
    second.restore("other")
    again = back.program("step", grow)
    assert back.program("step") is again
    assert again.params == program.params
    again.run(repeat=3).result(LIMIT_S)
    for name, data in zip("xy", expected, strict=True):
        np.testing.assert_array_equal(back.handles[name].read().result(LIMIT_S), data)
    assert set(second.grain("other").handles["z"].read().result(LIMIT_S)) == {9}
    assert kept(back.checkpoint()) == 2


def test_restore_brings_the_default_dtype_of_a_grain_that_was_looked_at(
    lab: gl.GrainManager,
    second: gl.GrainManager,
    make_lab: Callable[..., gl.GrainManager],
    urls: dict[str, str],
) -> None:
    """A float64 grain that comes back as float32, since `%grain` had shown its key before."""
    lab.grain("g", dtype=np.float64).allocate(4, name="x")
    assert kept(lab.grain("g").checkpoint()) == 1
    looked = second.grain("g")
    assert "checkpoint 1" in repr(looked)
    assert second.restore("g") is looked
    assert looked.dtype == np.float64
    assert looked.allocate(4).dtype == np.float64
    assert kept(looked.checkpoint()) == 2
    assert make_lab(**urls).restore("g").dtype == np.float64


@pytest.mark.parametrize("given", [None, np.float64])
def test_a_failed_restore_leaves_the_grain_as_it_was(
    lab: gl.GrainManager, second: gl.GrainManager, tmp_path: Path, given: Any
) -> None:
    """State that is emptied, or half of the allocations left, by bytes that are damaged."""
    grain = lab.grain("g", dtype=np.int32)
    for name in "xyz":
        grain.allocate(300_000, name=name, dtype=np.float32).write(ord(name))
    assert kept(grain.checkpoint()) == 1
    for blob in (tmp_path / "blobs").rglob("*"):
        if blob.is_file():
            blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    mine = second.grain("g", dtype=given)
    mine.state["mine"] = 1
    with pytest.raises(gl.CheckpointCorrupt):
        second.restore("g")
    assert mine.state == {"mine": 1}
    assert dict(mine.handles) == {}
    assert mine.dtype == (given or np.float32)
    mine.allocate(4, name="x").write(3)
    assert mine.handles["x"].read().result(LIMIT_S).tolist() == [3] * 4


def test_durable_over_a_checkpoint_that_was_not_restored_is_said_at_the_start(
    lab: gl.GrainManager, second: gl.GrainManager
) -> None:
    """Found out at exit, when nothing can be done any more."""
    lab.grain("g", durable=True).allocate(4, name="x").write(1)
    lab.close()
    with pytest.warns(RuntimeWarning, match=r"^durable grain 'g' begins empty.*lab.restore\('g'\)"):
        second.grain("g", durable=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second.restore("g")
        second.grain("g", durable=True).handles["x"].write(2)
        second.grain("new", durable=True)
