"""An engine that failed: what was pending ends with a cause, and grains come back on a new one."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import gpures_lab as gl
from gpures_lab.ring.failures import refused
from gpures_lab.ring.wire import Status
from tests.grain.engines import run_python

SETUP = """
import numpy as np, os, pytest, tempfile, threading
import gpures_lab as gl
os.environ["GPURES_STATE_DIR"] = tempfile.mkdtemp()
lab = gl.GrainManager(device="host", stall_s=0.2, full_wait_s=5.0, ring=gl.RingOptions(slots=4))
forever = gl.cpp_kernel("forever", "int* z",
                        "__atomic_store_n(z, 1, __ATOMIC_RELEASE); "
                        "volatile int go = 1; while (go) {}",
                        checked=False)
kept, spilled, bad = lab.grain("kept", dtype=np.float64), lab.grain("spilled"), lab.grain("bad")
kept.allocate(1000, name="x").write(1)
kept.state["n"] = 5
assert kept.checkpoint().result(30) == 1
kept.handles["x"].write(2).result(30)
spilled.allocate(1000, name="x").write(3)
spilled.state["n"] = 7
spilled.deactivate().result(30)
z = bad.allocate(4, dtype=np.int32)
stuck = bad.compute(forever, outputs=[z])
pending = [kept.handles["x"].read(), bad.ping(), kept.ping()]
assert isinstance(stuck.exception(30), gl.RingStalled)
for each in pending:
    error = each.exception(30)
    assert isinstance(error, gl.RingStalled) and "lab.restore(" in str(error), error
    assert "grains that were neither checkpointed nor deactivated are lost" in str(error), error
with pytest.raises(gl.RingStalled, match="lab.restore\\\\('kept'\\\\)"):
    kept.ping()
assert lab.metrics().pending_message_count == 0
"""


def run(code: str) -> str:
    done = run_python(SETUP + code)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_grains_come_back_on_a_new_engine_when_asked() -> None:
    """A manager of no use after a stall; a checkpoint that only another process can read."""
    said = run("""
back = lab.restore("kept")
assert back is lab.grain("kept") and back is not kept
assert set(back.handles["x"].read().result(30)) == {1} and back.state == {"n": 5}
also = lab.grain("spilled")
assert set(also.handles["x"].read().result(30)) == {3} and also.state == {"n": 7}
assert lab.metrics().engine_state != "FAILED"
back.handles["x"].write(4)
assert back.checkpoint().result(30) == 2
with pytest.raises(gl.RingStalled):
    bad.ping()
with pytest.raises(gl.RingStalled):
    kept.handles["x"].read()
again = lab.grain("bad")
assert dict(again.handles) == {}
said = "its 1 allocation, 16 B were never checkpointed and went with an engine that failed"
assert said in repr(again), repr(again)
with pytest.raises(gl.StateConflict, match=f"no checkpoint.*{said}"):
    lab.restore("bad")
again.allocate(4, name="x").write(9)
assert again.checkpoint().result(30) == 1
assert said not in repr(again) and said not in repr(back)
repr(lab), repr(kept), repr(bad), repr(back)
lab.close()
""")
    assert "the engine failed (RingStalled) and was replaced; 1 deactivated grain came" in said
    assert "lost, for never checkpointed: 'bad' (1 allocation, 16 B)" in said


def test_what_one_grain_cannot_bring_keeps_no_other() -> None:
    """One damaged spill file that took every deactivated grain with it, and their programs."""
    run("""
from pathlib import Path
import gc
del lab, kept, spilled, bad, stuck, pending, each, z
gc.collect()
lab = gl.GrainManager(device="host", stall_s=0.2)
grains = {key: lab.grain(key) for key in ("first", "second", "third")}
xs = {key: grain.allocate(1000, name="x") for key, grain in grains.items()}
before = set(Path(os.environ["GPURES_STATE_DIR"]).glob("spill/*/*"))
for value, (key, x) in enumerate(xs.items()):
    x.write(value + 1)
    if key == "second":
        with grains[key].record(name="double") as double:
            grains[key].compute("kernels/Add", [x, x], [x])
    grains[key].deactivate().result(30)
    if key == "first":
        damaged, = (p for p in Path(os.environ["GPURES_STATE_DIR"]).glob("spill/*/*")
                    if p not in before and p.name != "lock")
damaged.write_bytes(damaged.read_bytes()[:100])
bad = lab.grain("bad")
z = bad.allocate(4, dtype=np.int32)
assert isinstance(bad.compute(forever, outputs=[z]).exception(30), gl.RingStalled)
lab.restore("kept")
for key, value in (("second", 2), ("third", 3)):
    assert set(lab.grain(key).handles["x"].read().result(30)) == {value}, key
    with pytest.raises(gl.StaleHandle):
        xs[key].read()
first = lab.grain("first")
assert list(first.handles) == ["x"] and "deactivated" in repr(first)
with pytest.raises(gl.CheckpointCorrupt, match="discard"):
    first.handles["x"].read()
first.discard()
lab.grain("second").program("double").run().result(30)
assert set(lab.grain("second").handles["x"].read().result(30)) == {4}
lab.close()
""")


def test_nothing_hangs_without_it() -> None:
    """A checkpoint, deactivation or close that waits for a ring that never answers."""
    run("""
with pytest.raises(gl.RingStalled):
    kept.checkpoint()
failed = kept.deactivate()
assert isinstance(failed.exception(30), (gl.RingStalled, gl.RingFull))
with pytest.raises(gl.RingStalled):
    spilled.handles["x"].read()
with pytest.warns(RuntimeWarning, match="'kept' was not saved"):
    lab.close()
assert threading.active_count() == 1
""")


@pytest.mark.parametrize("status", [Status.DEVICE_LOST, Status.RING_STALLED])
def test_the_message_names_the_way_back(status: Status) -> None:
    """A user who knows that the data is gone, and not that it is not."""
    error = refused(SimpleNamespace(key="my key", manager=None), status, 7, 1)
    assert isinstance(error, gl.DeviceLost | gl.RingStalled)
    assert "restore('my key')" in str(error)
