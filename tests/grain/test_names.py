"""Named allocations, their replacement, the `handles` mapping, zero=False."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab._core import _native
from tests.grain.engines import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable


def test_handles_lists_live_allocations_by_name_oldest_first(tiny: gl.GrainManager) -> None:
    """A mapping that keeps released handles, forgets unnamed ones, or lists newest first."""
    grain = tiny.grain()
    first = grain.allocate(1)
    grain.allocate(2, name="x")
    third = grain.allocate(3)
    assert list(grain.handles) == ["a0", "x", "a2"]
    assert grain.handles["a2"] is third
    first.release()
    assert list(grain.handles) == ["x", "a2"]
    with pytest.raises(TypeError):
        grain.handles["y"] = third  # type: ignore[index]


def test_unnamed_allocations_are_held_weakly(tiny: gl.GrainManager) -> None:
    """A `handles` mapping that keeps memory alive which nobody can use."""
    grain = tiny.grain()
    grain.allocate(1)
    mapping = grain.handles
    assert list(mapping) == []


def test_naming_again_with_the_same_form_reuses_the_block_zeroed(tiny: gl.GrainManager) -> None:
    """Re-running a cell that allocates would grow the pool, or show the last run's data."""
    grain = tiny.grain()
    old = grain.allocate(100, name="x")
    old.write(5)
    block = _native.block_of(old)
    new = grain.allocate(100, name="x")
    assert _native.block_of(new) == block
    assert old.released
    assert not new.read().result(timeout=LIMIT_S).any()
    with pytest.raises(gl.StaleHandle):
        old.read()
    assert tiny.metrics().active_allocation_count == 1


@pytest.mark.parametrize(
    ("shape", "dtype", "memory_type"),
    [
        (101, "float32", "device"),
        (100, "int32", "device"),
        (100, "float32", "pinned"),
        ((10, 10), "float32", "device"),
    ],
)
def test_naming_again_with_another_form_releases_the_old_one(
    tiny: gl.GrainManager, shape: object, dtype: str, memory_type: str
) -> None:
    """A replacement that keeps the old allocation's form, or its memory."""
    grain = tiny.grain()
    old = grain.allocate(100, name="x")
    new = grain.allocate(shape, name="x", dtype=dtype, memory_type=memory_type)
    assert old.released
    assert (new.dtype, new.memory_type) == (np.dtype(dtype), memory_type)
    assert dict(grain.handles) == {"x": new}
    assert tiny.metrics().total_allocated_bytes == new.nbytes


def test_a_replacement_that_does_not_fit_leaves_the_old_one(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """PoolExhausted that costs the user the data he still had."""
    grain = make_lab("slots4", pool_limit_bytes=8192).grain()
    old = grain.allocate(1000, name="x")
    old.write(4)
    with pytest.raises(gl.PoolExhausted):
        grain.allocate(2000, name="x")
    assert grain.handles["x"] is old
    assert (old.read().result(timeout=LIMIT_S) == 4).all()


def test_a_name_taken_by_an_unnamed_allocation_is_refused(tiny: gl.GrainManager) -> None:
    """Two live handles of one name: `handles` would hide one."""
    grain = tiny.grain()
    kept = grain.allocate(1)
    assert kept.name == "a0"
    with pytest.raises(gl.InvalidOption, match="a0"):
        grain.allocate(1, name="a0")
    assert list(grain.handles) == ["a0"]


@pytest.mark.parametrize("name", ["a1", "a2", "a7"])
def test_an_unnamed_allocation_never_takes_a_name_in_use(tiny: gl.GrainManager, name: str) -> None:
    """The automatic a1, a2, … that repeats a name the user gave: `handles` would hide one."""
    grain = tiny.grain()
    named = grain.allocate(1, name=name)
    others = [grain.allocate(1) for _ in range(10)]
    assert len(grain.handles) == 11
    assert grain.handles[name] is named
    assert len({each.name for each in others}) == 10


@pytest.mark.parametrize("name", ["", "two words", "1st", "x" * 129, 7, "é" * 100])
def test_a_name_must_be_an_identifier(tiny: gl.GrainManager, name: object) -> None:
    """A name that no cell could bind, or no manifest store."""
    with pytest.raises(gl.InvalidOption, match="identifier"):
        tiny.grain().allocate(1, name=name)
    assert tiny.metrics().active_allocation_count == 0


def test_zero_false_shows_a_grain_only_what_was_its_own(tiny: gl.GrainManager) -> None:
    """One grain's data shown to another through a reused block."""
    mine, other = tiny.grain("mine"), tiny.grain("other")
    x = mine.allocate(100)
    x.write(42)
    x.release()
    again = mine.allocate(100, zero=False)
    assert (again.read().result(timeout=LIMIT_S) == 42).all()
    again.release()
    theirs = other.allocate(100, zero=False)
    assert not theirs.read().result(timeout=LIMIT_S).any()
    theirs.release()
    # It belonged to `other` in between: not `mine` any more.
    assert not mine.allocate(100, zero=False).read().result(timeout=LIMIT_S).any()


def test_discard_and_with_release_everything(tiny: gl.GrainManager) -> None:
    """A `with` over a grain, or discard(), that leaves named or unnamed memory behind."""
    with tiny.grain("g") as grain:
        x, y = grain.allocate(1), grain.allocate(1, name="y")
    assert x.released
    assert y.released
    assert tiny.metrics().active_allocation_count == 0
    assert tiny.metrics().used_pool_size_bytes == 0
    with grain.allocate(1) as z:
        z.write(1)
    assert z.released
    assert not grain.handles


def test_reprs_say_what_and_released(tiny: gl.GrainManager) -> None:
    """A repr that raises, shows an address, or waits for a ring that does not move."""
    grain = tiny.grain("scores")
    x = grain.allocate((2, 3), name="x")
    with tiny.quiesced():
        pending = x.read()
        assert repr(x) == "<ResidentArray x float32 (2, 3) 24 B, grain 'scores'>"
        assert "pending" in repr(pending)
        assert "scores" in repr(grain)
        assert "PARKED" in repr(tiny)
    pending.result(timeout=LIMIT_S)
    assert "done" in repr(pending)
    x.release()
    assert "released" in repr(x)
    tiny.close()
    assert "closed" in repr(grain)
    assert "CLOSED" in repr(tiny)
    for each in (x, pending, grain, tiny):
        assert "0x" not in repr(each)
