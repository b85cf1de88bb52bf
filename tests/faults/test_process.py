"""The end of a process, Ctrl-C, and fork, each in a process of its own."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.grain.engines import run_python

if TYPE_CHECKING:
    from pathlib import Path

SETUP = """
import os, signal, sys, threading
import numpy as np, pytest
import gpures_lab as gl
"""


def run(code: str, **options: signal.Signals) -> str:
    done = run_python(SETUP + code, **options)
    assert done.returncode == 0, f"{done.returncode}\n{done.stdout}{done.stderr}"
    assert "Error" not in done.stderr, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "left",
    [
        "",
        "pending = [x.read() for _ in range(50)]",
        "view = grain.borrow(x).__enter__(); held = x.read() ",
        "lab.quiesced().__enter__(); c = x.read()",
        "x2 = grain.allocate(10**6, name='x'); del x",
        "lab.metrics_frame",
        "keep = grain.borrow(x).__enter__(); grain._unhold()",
    ],
)
def test_exit_without_close(left: str) -> None:
    """An exit that hangs, crashes or complains because something was left open."""
    run(f"""
lab = gl.manager()
grain = lab.grain(placement="dedicated")
x = grain.allocate(1000)
x.write(1).result(timeout=30)
{left}
""")


def test_exit_by_sys_exit_and_by_an_error() -> None:
    """An exit code changed by our atexit."""
    code = SETUP + "gl.manager().grain().ping().result(timeout=30)\n"
    assert run_python(code + "sys.exit(7)").returncode == 7
    done = run_python(code + "raise ValueError('mine')")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("ValueError: mine")


def test_handles_that_outlive_the_module() -> None:
    """A finalizer that runs when modules are gone already."""
    run("""
import builtins
grain = gl.manager().grain()
builtins.kept = [grain.allocate(4), grain.ping(), grain, grain.read(grain.allocate(3))]
""")


def test_ctrl_c_ends_the_wait_not_the_work() -> None:
    """A wait that cannot be interrupted, or an interrupt that drops the work."""
    out = run(
        """
lab = gl.manager()
grain = lab.grain()
gate, passed = grain.allocate(1, dtype=np.int64), grain.allocate(1, dtype=np.int64)
wait = gl.cpp_kernel("wait", "const long long* gate, long long* passed",
                     "while (!__atomic_load_n(gate, __ATOMIC_ACQUIRE)) {} passed[i] = *gate;",
                     checked=False)
with grain.borrow(gate) as view:
    pass
running = grain.compute(wait, inputs=[gate], outputs=[passed])
# The other thread gets the GIL, and sends the signal, only once the wait has given it up: a signal
# that came earlier would be Python's own, without our words.
sys.setswitchinterval(1000)
go = threading.Lock()
go.acquire()
def interrupt():
    go.acquire()
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    go.release()
    running.result(timeout=60)
except KeyboardInterrupt as interrupt:
    print(interrupt, running.request)
view[0] = 1
running.result(timeout=30)
assert passed.read().result(timeout=30)[0] == 1
lab.close()
"""
    )
    said, _, number = out.strip().splitlines()[-1].rpartition(" ")
    assert said == f"request {number} still runs; grain.cancel() drops what is queued"


@pytest.mark.parametrize(
    ("wait", "says"),
    [
        ("lab.park()", "a kernel still runs; it parks after it"),
        ("lab.quiesced().__enter__()", "a kernel still runs; it parks after it"),
        ("grain.borrow(gate).__enter__()", "earlier messages of grain 'notebook' may still run"),
        ("lab.close()", "the manager is closed all the same; messages that had not ended"),
        ("[grain.ping() for _ in range(9)]", "nothing was posted on grain 'notebook'"),
        ("grain.submit(gl.messages(9, op='noop'))", "3 of 9 messages were posted on grain 'noteb"),
        ("big.write(np.ones(big.size, 'u1'))", "[0-9,]+ of 50,000,000 bytes were written on grain"),
        ("big.read()", "nothing was read on grain 'notebook'"),
    ],
)
def test_ctrl_c_ends_every_other_wait_and_says_so(wait: str, says: str) -> None:
    """A wait in native code that looks at no signal until a kernel ends, or a bare traceback."""
    out = run(
        f"""
lab = gl.GrainManager(device="host", stall_s=60.0, full_wait_s=60.0, ring=gl.RingOptions(slots=4))
grain = lab.grain()
gate, passed = grain.allocate(1, dtype=np.int64), grain.allocate(1, dtype=np.int64)
big = grain.allocate(50_000_000, dtype="u1")
wait = gl.cpp_kernel("wait", "const long long* gate, long long* passed",
                     "while (!__atomic_load_n(gate, __ATOMIC_ACQUIRE)) {{}} passed[i] = *gate;",
                     checked=False)
with grain.borrow(gate) as view:
    pass
running = grain.compute(wait, inputs=[gate], outputs=[passed])
try:
    print("ready", flush=True)
    {wait}
except KeyboardInterrupt as interrupt:
    print("said:", interrupt)
else:
    sys.exit("the wait ended by itself")
view[0] = 1
""",
        send=signal.SIGINT,
    )
    said = out.rpartition("said: ")[2]
    # A signal that comes before the wait has given up the GIL is Python's own, without our words.
    assert said.strip() == "" or re.match(says, said)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_that_exits_says_nothing() -> None:
    """The binding's list of leaks, under a cell that used multiprocessing or os.fork."""
    done = run_python(
        SETUP
        + """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
lab = gl.manager()
x = lab.grain("g").allocate(4)
x.write(2).result(timeout=30)
child = os.fork()
if child == 0:
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
lab.grain("g").discard()
"""
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_fork() -> None:
    """A child that waits for threads it does not have, or touches its parent's rings."""
    run("""
import warnings
warnings.simplefilter("ignore", DeprecationWarning)  # fork with threads: that is the test
lab = gl.manager()
grain = lab.grain("g", dtype=np.float32)
x = grain.allocate(4)
x.write(2).result(timeout=30)
with lab.quiesced():
    pending = x.read()
    child = os.fork()
    if child == 0:
        calls = [grain.ping, grain.barrier, grain.cancel, lambda: grain.allocate(1), x.read,
                 lambda: x.write(1), x.release, lambda: grain.borrow(x).__enter__(),
                 lambda: pending.result(timeout=30), lambda: lab.grain("h"), lab.park, lab.metrics,
                 grain.metrics, lambda: lab.quiesced().__enter__(), lab.metrics_frame]
        for call in calls:
            with pytest.raises(gl.RingClosed, match="forked from.*gl.manager"):
                call()
        assert not pending.done()
        import asyncio
        async def awaiting():
            await pending
        with pytest.raises(gl.RingClosed, match="forked from"):
            asyncio.run(awaiting())
        repr(lab), repr(grain), repr(x), repr(pending)
        lab.close()
        del x, pending, calls
        own = gl.manager()
        assert own is not lab
        y = own.grain("g").allocate(4)
        y.write(5)
        assert y.read().result(timeout=30).tolist() == [5] * 4
        own.close()
        sys.exit(0)
assert pending.result(timeout=30).tolist() == [2] * 4
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
assert gl.manager() is lab
x.write(3)
assert x.read().result(timeout=30).tolist() == [3] * 4
""")


def test_a_subinterpreter_gets_no_manager() -> None:
    """A process that aborts at its end, for threads that nobody joined."""
    run("""
import textwrap
xi = pytest.importorskip("_xxsubinterpreters")
code = textwrap.dedent('''
    try:
        import gpures_lab as gl
        gl.manager()
    except Exception as error:
        said = type(error).__name__
    else:
        said = "a manager"
    import os
    os.write(%d, said.encode())
''')
reader, writer = os.pipe()
other = xi.create()
xi.run_string(other, code % writer)
assert os.read(reader, 100) in (b"DriverUnavailable", b"ImportError")
xi.destroy(other)
""")


def test_gpures_log_shows_what_it_asks_for() -> None:
    """A switch that sets a level, and nobody who shows anything."""
    code = """
import logging, os, sys
os.environ["GPURES_LOG"] = "info"
import gpures_lab as gl
lab = gl.manager()
if sys.argv[1:]:
    logging.basicConfig(format="theirs %(message)s")
logging.getLogger("gpures_lab").info("hello")
lab.close()
"""
    said = run_python(code)
    assert said.stderr == "INFO gpures_lab: hello\n"


def test_import_and_make_a_manager_start_no_thread() -> None:
    """Threads and memory before the first message."""
    run("""
before = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
lab = gl.manager()
lab.grain()
if before:
    assert len(os.listdir("/proc/self/task")) == before
lab.close()
""")


EXITING = """
import numpy as np, sys
import gpures_lab as gl
lab = gl.manager()
kept, busy = lab.grain("kept", durable=True), lab.grain("busy")
x, y = kept.allocate(4, name="x"), busy.allocate(1, dtype=np.int32)
kernel = gl.cpp_kernel("busy", "int* z", "__atomic_store_n(z, 1, __ATOMIC_RELEASE); "
                       "volatile long left = {turns}; while (left != 0) left = left - 1;",
                       checked=False)
with busy.borrow(y) as started:
    started[:] = 0
x.write(1)
kept.checkpoint().result(timeout=30)
x.write(2).result(timeout=30)
busy.compute(kernel, outputs=[y])
while not started[0]:
    pass
"""


@pytest.mark.parametrize("turns", [300_000_000, -1], ids=["ends", "never ends"])
def test_exit_saves_what_was_acknowledged_while_another_grains_kernel_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    """A durable grain that comes back older than what its caller was told."""
    monkeypatch.setenv("GPURES_STATE_DIR", str(tmp_path))
    run(EXITING.format(turns=turns))
    assert run("print(gl.manager().restore('kept').handles['x'].read().result()[0])") == "2.0\n"


def test_exit_does_not_save_what_a_running_kernel_may_still_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint of a grain in the middle of its own kernel, or of a program of another's."""
    monkeypatch.setenv("GPURES_STATE_DIR", str(tmp_path))
    code = EXITING.format(turns=-1)
    own = code.replace('"busy")', '"busy", durable=True)')
    done = run_python(SETUP + own + "busy.compute(kernel, outputs=[y])\n")
    assert "durable grain 'busy' was not saved: a kernel was still running" in done.stderr
    assert "'kept'" not in done.stderr
    monkeypatch.setenv("GPURES_STATE_DIR", str(tmp_path / "another"))
    program = code.replace("x.write(1)", "x.write(1)\nwith kept.record() as it: kept.ping()", 1)
    done = run_python(SETUP + program)
    assert "durable grain 'kept' was not saved: a kernel was still running" in done.stderr
