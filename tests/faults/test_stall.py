"""A kernel that never ends, in a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.grain.engines import run_python

if TYPE_CHECKING:
    from pathlib import Path

SETUP = """
import numpy as np, pytest, sys, threading, time
import gpures_lab as gl
lab = gl.GrainManager(device="host", stall_s=0.2, full_wait_s=5.0, ring=gl.RingOptions(slots=4))
forever = gl.cpp_kernel("forever", "int* z",
                        "__atomic_store_n(z, 1, __ATOMIC_RELEASE); "
                        "volatile int go = 1; while (go) {}",
                        checked=False)
grain, other = lab.grain("g"), lab.grain("other")
z, y = grain.allocate(4, dtype=np.int32), other.allocate(4)
y.write(3).result(timeout=30)
with grain.borrow(z) as started:
    pass
stuck = grain.compute(forever, outputs=[z])
while not started[0]:
    pass
behind = y.read()
"""


def run(code: str) -> str:
    done = run_python(SETUP + code)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wait_stops_at_its_timeout_then_stalls_and_names_the_request() -> None:
    """A notebook that hangs; an error that names the message behind instead of the one stuck."""
    run("""
with other.record() as early:
    other.ping()
with pytest.raises(TimeoutError, match=f"request {stuck.request} "):
    stuck.result(timeout=0.01)
with pytest.raises(gl.RingStalled, match=rf"request {stuck.request} \\(Compute\\).*restart"):
    stuck.result(timeout=30)
with pytest.raises(gl.RingStalled):
    behind.result(timeout=30)
with pytest.raises(gl.RingStalled, match=f"stalled at request {stuck.request} of grain 'g'"):
    other.ping()
with pytest.raises(gl.RingStalled):
    grain.allocate(4)
with pytest.raises(gl.RingStalled, match="of grain 'other'"):
    with other.record() as program:
        other.ping()
assert lab.metrics().engine_state == "FAILED"
assert lab.metrics().pending_message_count == 0
repr(lab), repr(grain), repr(z), repr(stuck)
lab.close()
with pytest.raises(gl.RingClosed):
    grain.ping()
""")


def test_close_works_while_it_runs() -> None:
    """A close that waits for ever; memory that is unmapped under the kernel."""
    run("""
lab.close()
assert isinstance(stuck.exception(timeout=30), (gl.RingStalled, gl.RingClosed))
with gl.GrainManager(device="host") as second:
    x = second.grain().allocate(4)
    x.write(1)
    assert x.read().result(timeout=30).tolist() == [1] * 4
""")


@pytest.mark.parametrize("what", ["park", "quiesced", "borrow", "cancel"])
def test_nothing_waits_for_it_for_ever(what: str) -> None:
    """park(), quiesced(), borrow() or cancel() that never come back."""
    run(f"""
if {what!r} == "park":
    lab.park()
elif {what!r} == "quiesced":
    with lab.quiesced():
        pass
elif {what!r} == "borrow":
    with pytest.raises(gl.RingStalled, match="of grain 'g'"), grain.borrow(z):
        pass
    with pytest.raises(gl.RingStalled, match="of grain 'g'"), other.borrow(y):
        pass
else:
    grain.cancel()
assert isinstance(stuck.exception(timeout=30), gl.RingStalled)
lab.close()
""")


def test_a_stuck_dedicated_ring_fails_the_engine() -> None:
    """One ring that stands still while traffic elsewhere hides it."""
    run("""
lab.close()
lab = gl.GrainManager(device="host", stall_s=0.2, ring=gl.RingOptions(slots=4))
own, shared = lab.grain("own", placement="dedicated"), lab.grain("shared")
z = own.allocate(4, dtype=np.int32)
stuck = own.compute(forever, outputs=[z])
try:
    while True:
        shared.ping().result(timeout=30)
except gl.RingStalled:
    pass
assert isinstance(stuck.exception(timeout=30), gl.RingStalled)
lab.close()
""")


def test_exit_with_a_kernel_that_never_ends() -> None:
    """A process that cannot end, or crashes while it ends."""
    run("print('leaving')")
    run("lab.close()\nprint('leaving')")


def test_an_array_of_a_stalled_read_is_never_freed_under_the_worker() -> None:
    """A late answer written into memory that is somebody else's by then."""
    run("""
out = np.zeros(4, np.float32)
y.read(out=out)
del out
assert isinstance(stuck.exception(timeout=30), gl.RingStalled)
lab.close()
""")


def test_a_launch_beside_the_ring_that_never_ends_is_named() -> None:
    """A wide kernel that nobody watches: its grain waits for ever, and nothing says for what."""
    run("""
lab.close()
ring = gl.RingOptions(slots=4, wide_above_bytes=0)
lab = gl.GrainManager(device="host", stall_s=0.4, ring=ring)
grain, other = lab.grain("g"), lab.grain("other")
endless = gl.cpp_kernel("endless", "const float* x, float* z",
                        "const volatile float* at = x; while (*at == 0) {} z[i] = 1;",
                        checked=False)
x, z = grain.allocate(8), grain.allocate(8)
y = other.allocate(8)
stuck = grain.compute(endless, inputs=[x], outputs=[z])
behind = grain.read(z)
with pytest.raises(gl.RingStalled, match=rf"request {stuck.request} \\(Compute\\).*restart"):
    stuck.result(timeout=30)
with pytest.raises(gl.RingStalled):
    behind.result(timeout=30)
with pytest.raises(gl.RingStalled, match=f"stalled at request {stuck.request} of grain 'g'"):
    other.ping()
lab.close()
""")


def test_a_long_but_living_kernel_is_no_stall() -> None:
    """Progress that is not seen: an honest kernel of many slices taken for a stuck one."""
    run("""
lab.close()
lab = gl.GrainManager(device="host", stall_s=0.4, ring=gl.RingOptions(slots=4))
grain = lab.grain()
# Each slice of 1,024 indices is short; all of them together take longer than stall_s.
slow = gl.cpp_kernel("slow", "float* z",
                     "volatile int m = 0; while (m < 2000) m = m + 1; z[i] = m;", checked=False)
x = grain.allocate(1 << 20)
result = grain.compute(slow, outputs=[x]).result(timeout=50)
assert result.execution_time_ns > 0.4e9, result
assert (x.read().result(timeout=30) == 2000).all()
lab.close()
""")


SLOW = """
import numpy as np, sys
import gpures_lab as gl

lab = gl.GrainManager(device="host", stall_s=0.2)
grain = lab.grain()
z = grain.allocate(400)

@gl.kernel
def slow(i, z):
    y = 1.0
    for k in range(3_000_000):
        y = y * 0.999 + 0.5
    z[i] = y

with grain.record() as program:
    grain.compute(slow, outputs=[z])
if sys.argv[1] == "message":
    grain.compute(slow, outputs=[z]).result()
else:
    program.run(repeat=2).result()
found = grain.read(z).result()
assert (found == found[0]).all() and found[0] != 0
assert lab.metrics().engine_state != "FAILED"
"""


@pytest.mark.parametrize("way", ["message", "program"])
def test_a_slow_kernel_of_few_indices_is_no_stall(tmp_path: Path, way: str) -> None:
    """Seconds without a sign of life from a kernel that ends index after index: everything lost."""
    script = tmp_path / "slow.py"
    script.write_text(SLOW)
    done = run_python(
        f"import runpy, sys\nsys.argv = ['', {way!r}]\nrunpy.run_path({str(script)!r})"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_empty_program_is_over_at_once_however_often_it_repeats() -> None:
    """A loop that never looks at anything: the engine stalls over a program without a step."""
    done = run_python("""
import gpures_lab as gl
lab = gl.GrainManager(device="host", stall_s=0.2)
grain = lab.grain()
flag = grain.allocate(1, dtype="bool", zero=True)
with grain.record() as nothing:
    pass
assert nothing.run(repeat=10**15).result(timeout=30).iterations == 10**15
assert nothing.run(repeat=10**15, until=flag, every=7).result(timeout=30).iterations == 10**15
grain.write(flag, True)
assert nothing.run(repeat=10**15, until=flag, every=7).result(timeout=30).iterations == 7
""")
    assert done.returncode == 0, done.stdout + done.stderr
