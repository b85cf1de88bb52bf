"""What restore, discard and a first look bring or leave, and which keys they take."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, kept

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
