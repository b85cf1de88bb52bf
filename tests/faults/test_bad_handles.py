"""Stale, foreign and closed handles, and things that are none."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, add


def uses(grain: gl.Grain, handle: Any) -> list[Callable[[], object]]:
    good = grain.allocate(8)
    return [
        lambda: grain.write(handle, 1),
        lambda: grain.read(handle),
        lambda: grain.release(handle),
        lambda: grain.compute(add, inputs=[handle, good], outputs=[good]),
        lambda: grain.compute(add, inputs=[good, good], outputs=[handle]),
        lambda: grain.borrow(handle).__enter__(),
    ]


def good_afterwards(grain: gl.Grain) -> None:
    x = grain.allocate(8)
    x.write(2)
    assert x.read().result(timeout=LIMIT_S).tolist() == [2] * 8


def test_stale_handles(tiny: gl.GrainManager) -> None:
    """A released handle that reaches the next owner of its block."""
    grain = tiny.grain()
    x = grain.allocate(8, name="x")
    x.release()
    owner = grain.allocate(8)
    owner.write(7)
    for use in [*uses(grain, x), x.read, lambda: x.write(1), x.release, lambda: np.asarray(x)]:
        with pytest.raises(gl.StaleHandle, match="x of grain 'notebook' was released or replaced"):
            use()
    assert owner.read().result(timeout=LIMIT_S).tolist() == [7] * 8
    assert x.released


def test_released_twice(tiny: gl.GrainManager) -> None:
    """A block that is returned twice is lent twice."""
    grain = tiny.grain()
    x = grain.allocate(8)
    x.release()
    with pytest.raises(gl.StaleHandle):
        grain.release(x)
    with pytest.raises(gl.StaleHandle):
        x.release()
    a, b = grain.allocate(8), grain.allocate(8)
    a.write(1)
    b.write(2)
    assert a.read().result(timeout=LIMIT_S).tolist() == [1] * 8


def test_foreign_handles(tiny: gl.GrainManager) -> None:
    """One grain that reads, writes or frees another's memory."""
    grain, other = tiny.grain("mine"), tiny.grain("other")
    x = other.allocate(8)
    x.write(3)
    for use in uses(grain, x):
        with pytest.raises(gl.StaleHandle, match="belongs to grain 'other', not to 'mine'"):
            use()
    assert x.read().result(timeout=LIMIT_S).tolist() == [3] * 8
    good_afterwards(grain)


def test_handles_of_another_manager(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A handle id that is good in two tables."""
    first, second = make_lab(), make_lab()
    x = first.grain("g").allocate(8)
    twin = second.grain("g").allocate(8)
    x.write(3)
    for use in uses(second.grain("g"), x):
        with pytest.raises(gl.StaleHandle, match="another grain 'g': one of another manager"):
            use()
    assert twin.read().result(timeout=LIMIT_S).tolist() == [0] * 8
    assert x.read().result(timeout=LIMIT_S).tolist() == [3] * 8


def test_handles_of_a_closed_manager(make_lab: Callable[..., gl.GrainManager]) -> None:
    """Memory that is gone, read through a handle that is left."""
    first, second = make_lab(), make_lab()
    x = first.grain("g").allocate(8)
    first.close()
    with pytest.raises(gl.RingClosed):
        x.read()
    with pytest.raises(gl.StaleHandle):
        second.grain("g").read(x)
    assert "a0" in repr(x)


@pytest.mark.parametrize("thing", [None, 3, "x", [1, 2], object(), 1 << 70])
def test_things_that_are_no_handle(tiny: gl.GrainManager, thing: Any) -> None:
    """A cast of anything to a handle: a crash."""
    grain = tiny.grain()
    for use in uses(grain, thing):
        with pytest.raises(gl.InvalidOption, match="no resident array"):
            use()
    good_afterwards(grain)


def test_an_array_on_the_host_is_never_uploaded_silently(tiny: gl.GrainManager) -> None:
    """A copy to the device at each call, unseen."""
    grain = tiny.grain()
    for use in uses(grain, np.zeros(8, np.float32)):
        with pytest.raises(gl.InvalidOption, match="NumPy array on the host: allocate and write"):
            use()


def test_handles_cannot_be_made_copied_or_pickled(tiny: gl.GrainManager) -> None:
    """A second handle object whose end frees the first one's memory."""
    x = tiny.grain().allocate(4)
    with pytest.raises(TypeError):
        gl.ResidentArray()
    with pytest.raises(TypeError):
        gl.Completion()
    with pytest.raises(TypeError):
        copy.copy(x)
    with pytest.raises(TypeError):
        pickle.dumps(x)
    x.write(1).result(timeout=LIMIT_S)


def test_generations_tell_reused_ids_apart(tiny: gl.GrainManager) -> None:
    """An old handle that is equal to a new one of the same id."""
    grain = tiny.grain()
    seen = set()
    for _ in range(300):
        x = grain.allocate(4)
        seen.add(int(x))
        x.release()
    assert len(seen) == 300
    assert len({handle & 0xFFFFFF for handle in seen}) == 1, "the id was reused"
