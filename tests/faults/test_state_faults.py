"""Faults injected under checkpoints and deactivation: each ends in its named error."""

from __future__ import annotations

import ast
import errno
import os
import resource
import shutil
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.grain.store import blobs, store
from tests.grain.engines import LIMIT_S, run_python

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
PACKAGE = Path(gl.__file__).parent


@pytest.fixture
def lab(make_lab: Callable[..., gl.GrainManager], tmp_path: Path) -> gl.GrainManager:
    return make_lab(
        pool_limit_bytes=4 * MIB,
        full_wait_s=0.2,
        state_url=f"sqlite:///{tmp_path / 'state.sqlite'}",
        blobs_url=str(tmp_path / "blobs"),
    )


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def alive(lab: gl.GrainManager, grain: gl.Grain, value: float) -> None:
    """The grain still answers, with what it had; nothing is pending."""
    assert set(grain.handles["x"].read().result(LIMIT_S)) == {value}
    assert lab.metrics().pending_message_count == 0


def test_a_full_disk_under_a_checkpoint(
    lab: gl.GrainManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint that is half there; an error that takes the grain with it."""
    grain = lab.grain("g")
    grain.allocate(MIB // 2, name="x").write(1)  # 2 MiB: written while it is hashed
    assert grain.checkpoint().result(LIMIT_S) == 1
    grain.handles["x"].write(2)
    fsync = os.fsync

    def full(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):  # the blob is written by then
            no_room()
        fsync(descriptor)

    monkeypatch.setattr(blobs.os, "fsync", full)
    with pytest.raises(gl.StateConflict, match="no room.*last checkpoint is untouched"):
        grain.checkpoint().result(LIMIT_S)
    with pytest.raises(gl.StateConflict, match="no room"):
        grain.deactivate().result(LIMIT_S)
    monkeypatch.undo()
    alive(lab, grain, 2)
    assert not [*tmp_path.rglob("*.tmp")]
    assert grain.checkpoint().result(LIMIT_S) == 2


def test_a_full_disk_under_memory_pressure(lab: gl.GrainManager) -> None:
    """A grain whose memory was taken before its contents were safe."""
    grain, other = lab.grain("g"), lab.grain("other")
    grain.allocate(MIB // 2, name="x").write(1).result(LIMIT_S)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, before[1]))  # files end after half of it
    try:
        with pytest.raises(
            gl.PoolExhausted, match=r"no room for the memory of a deactivated grain in /.*disk"
        ) as told:
            other.allocate(MIB)
        assert isinstance(told.value.__cause__, gl.StateConflict)
        with pytest.raises(gl.StateConflict, match="no room for the memory of"):
            grain.deactivate().result(LIMIT_S)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    alive(lab, grain, 1)
    other.allocate(MIB, name="x")
    alive(lab, other, 0)


def test_a_durable_grain_that_the_store_refuses_is_spilled(
    lab: gl.GrainManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contents dropped because the database was gone."""
    grain = lab.grain("g", durable=True)
    grain.allocate(MIB // 2, name="x").write(3).result(LIMIT_S)
    lab._saver.store()
    for path in tmp_path.glob("state.sqlite*"):
        path.unlink()
    lab.grain("other").allocate(MIB)
    assert "deactivated" in repr(grain)
    alive(lab, grain, 3)
    with pytest.warns(RuntimeWarning, match="'g' was not saved"):
        lab.close()


def test_a_lost_database_under_a_checkpoint(lab: gl.GrainManager, tmp_path: Path) -> None:
    """A checkpoint that says it was kept, in a file that is no more."""
    grain = lab.grain("g")
    grain.allocate(10, name="x").write(1)
    grain.checkpoint().result(LIMIT_S)
    for path in tmp_path.glob("state.sqlite*"):
        path.unlink()
    with pytest.raises(gl.GpuResError, match="state.sqlite"):
        grain.checkpoint().result(LIMIT_S)
    alive(lab, grain, 1)
    grain.discard()


def test_a_place_that_cannot_be_used_is_said_by_the_call(
    make_lab: Callable[..., gl.GrainManager], tmp_path: Path
) -> None:
    """An error that only a thread hears of."""
    (tmp_path / "file").write_text("")
    lab = make_lab(state_url=f"sqlite:///{tmp_path / 'file' / 'state.sqlite'}")
    grain = lab.grain("g")
    grain.allocate(10)
    with pytest.raises(gl.InvalidOption, match="GPURES_STATE_DIR"):
        grain.checkpoint()
    with pytest.raises(gl.InvalidOption, match="GPURES_STATE_DIR"):
        lab.restore("g")
    repr(grain)


def test_no_memory_for_the_copy(lab: gl.GrainManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """A grain whose messages stay held back after a failed copy."""
    grain = lab.grain("g")
    grain.allocate(10, name="x").write(1)

    def none(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "empty", none)
    with pytest.raises(MemoryError):
        grain.checkpoint()
    monkeypatch.undo()
    alive(lab, grain, 1)
    assert grain.checkpoint().result(LIMIT_S) == 1


def test_the_clock_jumps_during_a_save(
    lab: gl.GrainManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease that a prune thinks is over, years early or never."""
    grain = lab.grain("g")
    x = grain.allocate(MIB // 2, name="x")
    times = iter([1e9, 4e9, 1e9, 2e9, 3e9] * 50)
    monkeypatch.setattr(store.time, "time", lambda: next(times))
    for n in range(1, 6):
        x.write(n)
        assert grain.checkpoint().result(LIMIT_S) == n
    lab._saver.store().prune()
    monkeypatch.undo()
    grain.discard()
    assert set(lab.restore("g").handles["x"].read().result(LIMIT_S)) == {5}


def test_ctrl_c_during_a_cut_leaves_nothing_held_back() -> None:
    """A grain that never answers again after an interrupted cell."""
    done = run_python("""
        import os, signal, tempfile, threading
        os.environ["GPURES_STATE_DIR"] = tempfile.mkdtemp()
        import numpy as np, gpures_lab as gl
        lab = gl.GrainManager(device="host", pool_limit_bytes=1 << 30)
        grain = lab.grain("g")
        x = grain.allocate(1 << 25)
        x.write(1).result(30)
        grain.checkpoint().result(60)
        interrupted = 0
        for delay in (0, 0.001, 0.003, 0.01, 0.02):
            timer = threading.Timer(delay, os.kill, (os.getpid(), signal.SIGINT))
            try:
                timer.start()
                grain.checkpoint().result(60)
                timer.join()
            except KeyboardInterrupt:
                interrupted += 1
        assert interrupted
        assert set(x.read(count=10).result(30)) == {1}
        lab._saver.drain()
        assert grain.checkpoint(replace=True).result(60) > 1
        grain.discard()
        lab.close()
    """)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_killed_spill_and_a_lost_spill_folder(lab: gl.GrainManager) -> None:
    """A traceback from below where a cure is known."""
    grain = lab.grain("g")
    grain.allocate(10, name="x")
    grain.deactivate().result(LIMIT_S)
    folder = lab._residency._spill._folder
    assert folder is not None
    shutil.rmtree(folder)
    with pytest.raises(gl.GpuResError, match="cannot read or write"):
        grain.ping()
    grain.discard()
    grain.ping().result(LIMIT_S)


def test_no_thread_stays_behind(lab: gl.GrainManager) -> None:
    """A saver, a hash or a peek that nobody ends."""
    grain = lab.grain("g")
    grain.allocate(MIB // 2, name="x")
    repr(lab.grain("fresh"))
    grain.checkpoint().result(LIMIT_S)
    grain.deactivate().result(LIMIT_S)
    grain.ping().result(LIMIT_S)
    grain.discard()
    lab.close()
    assert {each.name for each in threading.enumerate() if each.name.startswith("gpures")} == set()


def test_stored_data_is_never_code() -> None:
    """A checkpoint, or a spill file, that runs something when it is read."""
    for path in (PACKAGE / "grain").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", "")}
                assert not names & {"pickle", "marshal", "shelve", "dill", "cloudpickle"}, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "__import__"}, path


def test_sql_is_only_built_by_sqlalchemy() -> None:
    """A key that ends up inside a statement: text() or a driver's own execute with a variable."""
    for path in (PACKAGE / "grain" / "store").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in {"text", "exec_driver_sql"} or (
                node.func.attr == "execute"
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in {"cursor", "plain"}
            ):
                words = [*ast.walk(node.args[0])]
                # Constants, and the one pragma with our own numbers in it.
                names = {each.id for each in words if isinstance(each, ast.Name)}
                known = {"LOCK_SLICE_S", "LOCK_WAIT_S", "int", "writes"}
                assert names <= known, (path, ast.unparse(node))


def test_files_are_for_their_owner_only(lab: gl.GrainManager, tmp_path: Path) -> None:
    """Contents that others on the machine can read."""
    grain = lab.grain("g")
    grain.allocate(MIB // 2, name="large")
    grain.allocate(10, name="small")
    grain.checkpoint().result(LIMIT_S)
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len([path for path in found if path.suffix == ".safetensors"]) == 2
    for path in found:
        assert path.stat().st_mode & 0o077 == 0, path
    grain.discard()
