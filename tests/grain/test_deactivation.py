"""Deactivation: asked for, idle, for want of room; what comes back, and through which handles."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab import environment
from tests.grain.engines import (
    LIMIT_S,
    Latch,
    add,
    asleep,
    borrowed_elsewhere,
    in_threads,
    run_python,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20


@pytest.fixture(params=[False, True], ids=["spill", "durable"])
def grain(
    request: pytest.FixtureRequest, make_lab: Callable[..., gl.GrainManager], urls: dict[str, str]
) -> gl.Grain:
    return make_lab("slots4", **urls).grain("g", durable=request.param)


def test_handles_programs_and_batches_stay_valid(grain: gl.Grain) -> None:
    """A handle whose number changed under a program, a batch, or the user's hands."""
    x, y = grain.allocate(1000, name="x"), grain.allocate(300_000, dtype=np.float64)
    x.write(np.arange(1000))
    y.write(0.5)
    with grain.record() as step:
        grain.compute(add, inputs=[x, x], outputs=[x])
    batch = gl.messages(2, op="compute", kernel=add)
    batch["handles"][:, :3] = int(x)

    asleep(grain)
    assert set(y.read().result(LIMIT_S)) == {0.5}
    np.testing.assert_array_equal(x.read().result(LIMIT_S), np.arange(1000))
    asleep(grain)
    step.run(repeat=2).result(LIMIT_S)
    asleep(grain)
    grain.submit(batch).result(LIMIT_S)
    np.testing.assert_array_equal(x.read().result(LIMIT_S), np.arange(1000) * 16)
    asleep(grain)
    with grain.borrow(x) as view:
        assert view[1] == 16
    assert grain.handles["x"] is x


def test_what_happens_to_a_handle_while_its_grain_is_asleep(grain: gl.Grain) -> None:
    """A released or dropped handle that comes back, or whose id is given out twice."""
    x, y, z = (grain.allocate(1000) for _ in range(3))
    for n, each in enumerate((x, y, z)):
        each.write(n)
    asleep(grain)
    del y
    x.release().result(LIMIT_S)
    with pytest.raises(gl.StaleHandle):
        x.read()
    assert set(z.read().result(LIMIT_S)) == {2}
    fresh = [grain.allocate(1000) for _ in range(4)]
    assert len({int(each) for each in (z, *fresh)}) == 5
    assert all(set(each.read().result(LIMIT_S)) == {0} for each in fresh)


def test_discard_while_asleep(grain: gl.Grain) -> None:
    """Files that nobody will read again; a grain that cannot be used any more."""
    x = grain.allocate(1000)
    asleep(grain)
    grain.discard()
    assert x.released
    assert dict(grain.handles) == {}
    y = grain.allocate(1000)
    y.write(3)
    assert set(y.read().result(LIMIT_S)) == {3}


def test_a_checkpoint_of_a_grain_that_is_asleep(
    grain: gl.Grain, make_lab: Callable[..., gl.GrainManager], urls: dict[str, str]
) -> None:
    """An empty checkpoint."""
    grain.allocate(1000, name="x").write(4)
    asleep(grain)
    grain.checkpoint().result(LIMIT_S)
    back = make_lab(**urls).restore("g")
    assert set(back.handles["x"].read().result(LIMIT_S)) == {4}


def test_the_spill_folder_ends_with_the_process_or_after_it() -> None:
    """Disks that fill with what killed notebooks left behind."""
    spill = environment.state_dir() / "spill"
    code = """
        import os, signal, gpures_lab as gl
        grain = gl.manager().grain("g")
        x = grain.allocate(9)
        grain.deactivate().result(30)
    """
    assert run_python(code).returncode == 0
    assert list(spill.iterdir()) == []
    assert run_python(code + "    os.kill(os.getpid(), signal.SIGKILL)\n").returncode == -9
    assert len(list(spill.iterdir())) == 1
    assert run_python(code).returncode == 0
    assert list(spill.iterdir()) == []


def test_a_damaged_spill_file_is_noticed(make_lab: Callable[..., gl.GrainManager]) -> None:
    """Wrong values from a bad disk."""
    grain = make_lab().grain("g")
    x = grain.allocate(1000)
    x.write(5)
    asleep(grain)
    (file,) = (
        path for path in (environment.state_dir() / "spill").glob("*/*") if path.name != "lock"
    )
    assert file.stat().st_mode & 0o077 == 0
    raw = bytearray(file.read_bytes())
    raw[100] ^= 1
    file.write_bytes(raw)
    with pytest.raises(gl.CheckpointCorrupt, match="expected"):
        x.read()
    grain.discard()
    assert grain.allocate(4).read().result(LIMIT_S).tolist() == [0] * 4


def test_grains_worth_ten_times_the_limit_work_in_turn(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A value of another grain; a handle that died; memory above the limit."""
    lab = make_lab(pool_limit_bytes=8 * MIB)
    draw = np.random.default_rng(5)
    grains = [lab.grain(f"g{n}") for n in range(20)]
    handles = [grain.allocate(MIB, name="x") for grain in grains]  # 4 MiB each
    twin = np.zeros(20)
    for n in [*range(20), *draw.integers(0, 20, 60)]:
        twin[n] += n + 1
        with grains[n].record() as step:
            grains[n].compute(
                "kernels/Saxpy",
                inputs=[handles[n], handles[n]],
                outputs=[handles[n]],
                params={"a": 0.0},
            )
        handles[n].write(handles[n].read(count=1).result(LIMIT_S)[0] + n + 1)
        step.run().result(LIMIT_S)
        assert lab.metrics().total_pool_size_bytes <= 8 * MIB
    for n, handle in enumerate(handles):
        assert set(handle.read().result(LIMIT_S)) == {twin[n]}


def test_the_least_recently_used_grain_goes_first(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A grain in use that pays for one that nobody needs."""
    lab = make_lab(pool_limit_bytes=4 * MIB)
    names = ["a", "b", "c"]
    for name in names:
        lab.grain(name).allocate(MIB // 4, name="x")
    for name in ("c", "a", "b"):
        lab.grain(name).handles["x"].read().result(LIMIT_S)
    lab.grain("d").allocate(MIB // 2, name="x")
    assert [name for name in names if "deactivated" in repr(lab.grain(name))] == ["c"]


@pytest.mark.parametrize("use", ["pending", "borrow", "view"])
def test_a_grain_in_use_is_not_taken_for_room(
    make_lab: Callable[..., gl.GrainManager], use: str
) -> None:
    """Memory that moves under a kernel or a view."""
    lab = make_lab(pool_limit_bytes=4 * MIB, full_wait_s=0.05)
    grain = lab.grain("used")
    x = grain.allocate(MIB // 2)
    wanted = lab.grain("other", placement="dedicated")
    if use == "pending":
        latch = Latch(grain)
        latch.wait_until_running()
        with pytest.raises(gl.PoolExhausted):
            wanted.allocate(MIB)
        assert "deactivated" not in repr(grain)
        latch.open()
        latch.done.result(LIMIT_S)
        del latch  # its views
    else:
        with grain.borrow(x) as view:
            if use == "borrow":
                with pytest.raises(gl.PoolExhausted):
                    wanted.allocate(MIB)
        if use == "view":
            with pytest.raises(gl.PoolExhausted):
                wanted.allocate(MIB)
        assert "deactivated" not in repr(grain)
        del view
    wanted.allocate(MIB)
    assert "deactivated" in repr(grain)


def test_a_deactivation_waits_for_earlier_messages_and_lets_others_pass(
    make_lab: Callable[..., gl.GrainManager], urls: dict[str, str]
) -> None:
    """A long program told as a full ring; a checkpoint of another grain behind it."""
    lab = make_lab(full_wait_s=0.05, **urls)
    grain, other = lab.grain("g"), lab.grain("other", placement="dedicated")
    x = grain.allocate(10, name="x")
    latch = Latch(grain)
    latch.wait_until_running()
    x.write(3)
    barrier = grain.barrier()  # held back on the host
    done = grain.deactivate()
    assert other.checkpoint().result(LIMIT_S) == 1
    assert not done.done()
    latch.open()
    done.result(LIMIT_S)
    barrier.result(LIMIT_S)
    del latch
    assert set(x.read().result(LIMIT_S)) == {3}


def test_who_cannot_be_put_away_for_work_of_others_says_so(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """`ring 0 full: 1/1024`, and a cure that cures nothing."""
    lab = make_lab("default", pool_limit_bytes=4 * MIB, full_wait_s=0.05)
    grain = lab.grain("g")
    grain.allocate(MIB // 2, name="x").write(1).result(LIMIT_S)
    latch = Latch(lab.grain("long"))
    latch.wait_until_running()
    with pytest.raises(gl.PoolExhausted, match="nothing of ring 0 ended for 0.05 s.*another one"):
        lab.grain("wanted", placement="dedicated").allocate(MIB // 2)
    latch.open()
    latch.done.result(LIMIT_S)


def test_a_deactivation_inside_a_borrow_is_refused_at_once(grain: gl.Grain) -> None:
    """A wait for the very block that waits."""
    x = grain.allocate(4)
    with grain.borrow(x), pytest.raises(gl.InvalidOption, match="leave the with block"):
        grain.deactivate()
    asleep(grain)


def test_a_deactivation_of_a_grain_that_another_thread_borrows(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A wait without end for a block that is never left."""
    lab = make_lab(full_wait_s=0.05)
    grain = lab.grain("g")
    x = grain.allocate(4)
    with (
        borrowed_elsewhere(grain, x),
        pytest.raises(gl.RingFull, match="borrowed by another thread for 0.05 s"),
    ):
        grain.deactivate().result(LIMIT_S)
    asleep(grain)


def test_idle_grains_are_deactivated(make_lab: Callable[..., gl.GrainManager]) -> None:
    """Memory that stays with grains nobody talks to; a busy one that loses its own."""
    lab = make_lab(idle_after_s=3600)
    idle, busy = lab.grain("idle"), lab.grain("busy")
    for grain in (idle, busy):
        grain.allocate(1000, name="x").write(1).result(LIMIT_S)
    since = idle._counts()["idle_ns"]
    while busy._counts()["idle_ns"] >= idle._counts()["idle_ns"] - since:
        busy.ping().result(LIMIT_S)
    assert lab._residency.sweep(int(3600e9)) == 0
    latch = Latch(busy)
    latch.wait_until_running()
    assert lab._residency.sweep(0) == 1
    assert "deactivated" in repr(idle)
    assert "deactivated" not in repr(busy)
    latch.open()
    assert set(idle.handles["x"].read().result(LIMIT_S)) == {1}


def test_idle_after_s_does_it_by_itself(make_lab: Callable[..., gl.GrainManager]) -> None:
    """An option that nobody looks at; a thread that outlives its manager."""
    lab = make_lab(idle_after_s=0.01)
    grain = lab.grain("g")
    grain.allocate(1000, name="x").write(1).result(LIMIT_S)
    gone = threading.Event()
    for _ in range(LIMIT_S * 100):
        if "deactivated" in repr(grain):
            break
        gone.wait(0.01)
    assert "deactivated" in repr(grain)
    assert set(grain.handles["x"].read().result(LIMIT_S)) == {1}
    lab.close()
    assert not any(thread.name == "gpures-idle" for thread in threading.enumerate())


def test_threads_on_more_grains_than_fit(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A deactivation between a call's check and its message; two wakes that wait for each other."""
    lab = make_lab("default", pool_limit_bytes=4 * MIB)
    grains = [lab.grain(f"g{n}") for n in range(12)]
    handles = [grain.allocate(MIB // 4, name="x") for grain in grains]  # 1 MiB each
    counts = np.zeros((4, 12), int)

    def work(thread: int) -> None:
        draw = np.random.default_rng(thread)
        for n in draw.integers(0, 12, 100):
            handle = handles[n]
            while True:
                try:
                    last = handle.read(offset=thread, count=1).result(LIMIT_S)
                    handle.write(last + 1, offset=thread)
                    break
                except gl.PoolExhausted:
                    continue  # three others hold the room at this moment
            counts[thread, n] += 1

    in_threads(4, work)
    for n, handle in enumerate(handles):
        np.testing.assert_array_equal(handle.read(count=4).result(LIMIT_S), counts[:, n])


def test_a_program_wakes_every_grain_it_uses(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A run that meets a handle without memory."""
    lab = make_lab()
    grain, other = lab.grain("g"), lab.grain("other")
    x, y = grain.allocate(4, name="x"), other.allocate(4, name="y")
    with grain.record() as step:
        grain.compute(add, inputs=[x, x], outputs=[x])
        other.write(y, 7)
    asleep(other)
    step.run().result(LIMIT_S)
    assert set(y.read().result(LIMIT_S)) == {7}
