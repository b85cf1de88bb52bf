"""Durable grains: what deactivation, close and exit save, and what no later save replaces."""

from __future__ import annotations

import errno
import logging
import threading
from typing import TYPE_CHECKING

import pytest

import gpures_lab as gl
from gpures_lab import environment
from gpures_lab.grain import spill
from gpures_lab.ring.wire import HostWork
from tests.grain.engines import (
    LIMIT_S,
    asleep,
    run_python,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 1 << 20


def test_a_durable_grain_is_saved_when_it_changed(
    make_lab: Callable[..., gl.GrainManager], urls: dict[str, str]
) -> None:
    """A checkpoint for every time that nothing changed, or none when something did."""
    lab = make_lab(**urls)
    grain = lab.grain("g", durable=True)
    grain.allocate(1000, name="x").write(4)
    for _ in range(3):
        asleep(grain)
        lab._residency.wake(grain)  # as a call does, without its message
    assert grain._etag == 1
    grain.state["n"] = 1
    asleep(grain)
    assert grain._etag == 2
    grain.handles["x"].write(5)
    asleep(grain)
    assert grain._etag == 3
    lab.close()
    assert "checkpoint 3 of" in repr(make_lab(**urls).grain("g"))


@pytest.mark.parametrize("how", ["borrow", "a program of another grain"])
def test_a_durable_grain_is_saved_whatever_changed_it(
    make_lab: Callable[..., gl.GrainManager], urls: dict[str, str], how: str
) -> None:
    """Would catch: an acknowledged write that no message of its own made, and no save keeps."""
    lab = make_lab("slots4", **urls)
    grain, other = lab.grain("g", durable=True), lab.grain("other")
    x = grain.allocate(1000, name="x")
    with other.record() as negate:
        grain.compute("kernels/Neg", inputs=[x], outputs=[x])

    def change(value: float) -> None:
        if how == "borrow":
            with grain.borrow(x) as array:
                array[:] = value
        else:
            grain.write(x, -value).result(LIMIT_S)
            assert grain.checkpoint().result(LIMIT_S)
            negate.run().result(LIMIT_S)

    for value in (1, 2):
        change(value)
        assert grain.deactivate().result(LIMIT_S) is None
        assert set(x.read().result(LIMIT_S)) == {value}
        assert grain.checkpoint().result(LIMIT_S)
    change(3)
    lab.close()
    with gl.GrainManager(device="host", **urls) as second:
        assert set(second.restore("g").handles["x"].read().result(LIMIT_S)) == {3}


@pytest.mark.parametrize("ending", ["asleep", "woken", "close"])
def test_a_durable_grain_is_saved_for_its_programs_and_state_alone(
    make_lab: Callable[..., gl.GrainManager], urls: dict[str, str], ending: str
) -> None:
    """Would catch: a program recorded, or state set, after the last checkpoint that is lost."""
    lab = make_lab("slots4", **urls)
    grain = lab.grain("g", durable=True)
    x = grain.allocate(1000, name="x")
    x.write(1).result(LIMIT_S)
    assert grain.checkpoint().result(LIMIT_S) == 1
    with grain.record(name="double") as double:
        grain.compute("kernels/Add", inputs=[x, x], outputs=[x])
    if ending != "close":
        assert grain.deactivate().result(LIMIT_S) is None
        assert grain._etag == 2
        grain.state["late"] = 5
    if ending == "woken":
        assert set(x.read().result(LIMIT_S)) == {1}
    lab.close()
    del double
    with gl.GrainManager(device="host", **urls) as second:
        back = second.restore("g")
        back.program("double").run().result(LIMIT_S)
        assert set(back.handles["x"].read().result(LIMIT_S)) == {2}
        assert back.state == ({} if ending == "close" else {"late": 5})


def test_close_saves_durable_grains_and_says_what_ends(
    make_lab: Callable[..., gl.GrainManager],
    urls: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Work lost by an orderly end."""
    lab = make_lab(**urls)
    lab.grain("kept", durable=True).allocate(1000, name="x").write(4)
    lab.grain("ends").allocate(1000, name="x").write(4)
    lab.grain("empty")
    lab.close()
    assert "1 grain ends here with what it holds: 'ends'" in caplog.text
    second = make_lab(**urls)
    assert set(second.restore("kept").handles["x"].read().result(LIMIT_S)) == {4}
    with pytest.raises(gl.StateConflict, match="no checkpoint"):
        second.restore("ends")


@pytest.mark.parametrize("scoped", [False, True])
def test_close_says_what_ends_where_nothing_was_ever_saved(
    make_lab: Callable[..., gl.GrainManager], caplog: pytest.LogCaptureFixture, scoped: bool
) -> None:
    """The one word that could have saved the work, said to those alone who save some."""
    lab = make_lab()
    if scoped:
        lab.__enter__()
    lab.grain("ends").allocate(4, name="x")
    lab.close()
    said = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert said == (
        []
        if scoped
        else [
            "1 grain ends here with what it holds: 'ends'; checkpoint(), or durable=True, keeps one"
        ]
    )


def test_exit_saves_durable_grains(tmp_path: Path) -> None:
    """Work lost by the end of a script that never calls close()."""
    urls = f"state_url='sqlite:///{tmp_path}/state.sqlite', blobs_url='{tmp_path}/blobs'"
    code = f"""
        import gpures_lab as gl
        lab = gl.GrainManager(device="host", {urls})
    """
    done = run_python(code + "    lab.grain('g', durable=True).allocate(9, name='x').write(4)\n")
    assert (done.returncode, done.stderr) == (0, "")
    done = run_python(
        code + "    print(lab.restore('g').handles['x'].read().result(30).tolist())\n"
        "        lab.close()\n"
    )
    assert done.stdout.strip() == str([4.0] * 9), done.stderr


def test_a_with_block_keeps_a_durable_grain(
    make_lab: Callable[..., gl.GrainManager], urls: dict[str, str]
) -> None:
    """`with` as the end of what was to stay."""
    lab = make_lab(**urls)
    with lab.grain("g", durable=True) as grain:
        grain.allocate(4, name="x").write(2)
    assert set(grain.handles["x"].read().result(LIMIT_S)) == {2}
    with lab.grain("h") as other:
        x = other.allocate(4, name="x")
    assert x.released


@pytest.mark.parametrize("woken", [False, True], ids=["asleep", "woken"])
def test_a_checkpoint_behind_a_deactivation_replaces_nothing_newer(
    make_lab: Callable[..., gl.GrainManager], urls: dict[str, str], woken: bool
) -> None:
    """A grain asleep, or awake again, as a checkpoint that an older cut of its own has replaced."""
    lab = make_lab(**urls)
    grain = lab.grain("g", durable=True)
    x = grain.allocate(4, name="x")
    x.write(1.0).result(LIMIT_S)
    leave, leave_again = threading.Event(), threading.Event()
    busy = [grain._promise(HostWork.CHECKPOINT) for _ in range(2)]
    lab._saver.give(busy[0], lambda: leave.wait(LIMIT_S))
    room, lab._saver.room = lab._saver.room, lambda: None  # type: ignore[method-assign]
    put_away = grain.deactivate()
    lab._saver.give(busy[1], lambda: leave_again.wait(LIMIT_S))
    kept = grain.checkpoint()
    lab._saver.room = room  # type: ignore[method-assign]
    x.write(2.0).result(LIMIT_S)
    leave.set()
    put_away.result(LIMIT_S)
    if woken:
        assert x.read().result(LIMIT_S).tolist() == [2.0] * 4
    leave_again.set()
    assert kept.result(LIMIT_S) == 1
    back = make_lab(**urls).restore("g")
    assert back.handles["x"].read().result(LIMIT_S).tolist() == [2.0] * 4
    assert x.read().result(LIMIT_S).tolist() == [2.0] * 4
    assert grain.checkpoint().result(LIMIT_S) in {1, 2}
    back.discard()


def test_restore_comes_after_the_checkpoints_asked_for_before(
    make_lab: Callable[..., gl.GrainManager], urls: dict[str, str]
) -> None:
    """An older checkpoint that comes back, and is then replaced by one from before."""
    lab = make_lab(**urls)
    grain = lab.grain("g")
    x = grain.allocate(4, name="x")
    grain.checkpoint().result(LIMIT_S)
    leave = threading.Event()
    lab._saver.give(grain._promise(HostWork.CHECKPOINT), lambda: leave.wait(LIMIT_S))
    x.write(2)
    kept = grain.checkpoint()
    x.release()
    saved = lab._saver.saved

    def waited(grain: gl.Grain) -> None:
        leave.set()
        saved(grain)

    lab._saver.saved = waited  # type: ignore[method-assign]
    back = lab.restore("g")
    leave.set()
    assert kept.result(LIMIT_S) == 2
    assert back.handles["x"].read().result(LIMIT_S).tolist() == [2] * 4


@pytest.mark.parametrize("blobs", ["one disk", "another disk", "no disk"])
def test_a_grain_that_sleeps_as_a_checkpoint_which_another_writer_replaced(
    make_lab: Callable[..., gl.GrainManager],
    urls: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    blobs: str,
) -> None:
    """Acknowledged contents that no call of their grain can reach any more."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, "another disk")

    if blobs == "another disk":  # files have one name only
        monkeypatch.setattr(spill.os, "link", refuse)
    if blobs == "no disk":
        urls["blobs_url"] = f"memory:/{tmp_path}"
    lab, second = make_lab(**urls), make_lab(**urls)
    grain = lab.grain("g", durable=True)
    x = grain.allocate(1000, name="x")
    x.write(1)
    asleep(grain)
    theirs = second.grain("g")
    theirs.allocate(3, name="x").write(9)
    assert theirs.checkpoint(replace=True).result(LIMIT_S) == 2
    second._saver.drain()
    assert second._saver.store().usage().blobs == 1  # ours is gone
    assert set(x.read().result(LIMIT_S)) == {1}
    x.write(2)
    for save in (grain.checkpoint, grain.deactivate):
        with pytest.raises(gl.StateConflict, match=r"etag 2, expected 1.*replace=True"):
            save().result(LIMIT_S)
    assert set(x.read().result(LIMIT_S)) == {2}
    assert grain.checkpoint(replace=True).result(LIMIT_S) == 3
    theirs.discard()
    assert set(second.restore("g").handles["x"].read().result(LIMIT_S)) == {2}
    assert [path.name for path in (environment.state_dir() / "spill").glob("*/*")] == ["lock"]
