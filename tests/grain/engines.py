"""Managers for tests, the clock that bounds every wait, and a kernel that a test can hold up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = [
    "LIMIT_S",
    "RINGS",
    "Latch",
    "add",
    "any_lab",
    "asleep",
    "borrowed_elsewhere",
    "in_threads",
    "kept",
    "lab",
    "make_lab",
    "run_python",
    "tiny",
    "urls",
    "wait_until",
]

# Far beyond anything a healthy engine needs: it bounds a test that would otherwise hang.
LIMIT_S = 30

# Four slots, so that every test wraps; the extremes of linger, lease and spin; the default.
RINGS = {
    "default": gl.RingOptions(),
    "slots4": gl.RingOptions(slots=4),
    "slots4-linger0": gl.RingOptions(slots=4, linger_us=0),
    "slots4-lease1": gl.RingOptions(slots=4, lease_ms=1),
    "slots4-spin0": gl.RingOptions(slots=4, spin_us=0),
    "slots4-stream": gl.RingOptions(slots=4, dma_above_bytes=0, wide_above_bytes=0),
    "slots4-hasty": gl.RingOptions(slots=4, linger_us=0, lease_ms=1, spin_us=0),
}


@pytest.fixture
def make_lab(request: pytest.FixtureRequest) -> Iterator[Callable[..., gl.GrainManager]]:
    """Return a maker of managers on the host, or on ``--device``; they are closed at the end."""
    made: list[gl.GrainManager] = []
    device = request.config.getoption("--device")

    def make(ring: str | gl.RingOptions = "slots4", **options: Any) -> gl.GrainManager:
        options.setdefault("pool_limit_bytes", 256 << 20)
        options.setdefault("full_wait_s", float(LIMIT_S))
        rings = RINGS[ring] if isinstance(ring, str) else ring
        made.append(gl.GrainManager(device=device, ring=rings, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def lab(make_lab: Callable[..., gl.GrainManager]) -> gl.GrainManager:
    """Return a manager with the default rings."""
    return make_lab("default")


@pytest.fixture
def urls(tmp_path: Path) -> dict[str, str]:
    """Return the URLs of a store of the test's own."""
    return {
        "state_url": f"sqlite:///{tmp_path / 'state.sqlite'}",
        "blobs_url": str(tmp_path / "blobs"),
    }


@pytest.fixture
def tiny(make_lab: Callable[..., gl.GrainManager]) -> gl.GrainManager:
    """Return a manager with 4-slot rings."""
    return make_lab("slots4")


@pytest.fixture(params=sorted(RINGS))
def any_lab(
    request: pytest.FixtureRequest, make_lab: Callable[..., gl.GrainManager]
) -> gl.GrainManager:
    """Return a manager, once for each of `RINGS`."""
    return make_lab(request.param)


def wait_until(ready: Callable[[], object], otherwise: str) -> None:
    """Return once ``ready()`` is true; within the limit, or the test fails with ``otherwise``."""
    limit = time.monotonic() + LIMIT_S
    while not ready():
        assert time.monotonic() < limit, otherwise


add = "kernels/VectorAdd"

_wait_for_gate = gl.cpp_kernel(
    "wait_for_gate",
    "const long long* gate, long long* passed",
    "__atomic_store_n(passed, 2, __ATOMIC_RELEASE);"
    # Bounded, so that a test that fails before it opens the gate still ends.
    "__atomic_store_n(passed, -1LL, __ATOMIC_RELEASE);"
    "for (long long n = 0; n < 4000000000LL && !__atomic_load_n(gate, __ATOMIC_ACQUIRE); ++n) {}"
    "passed[i] = *gate;",
    checked=False,
)


class Latch:
    """A Compute of one grain that runs until `open` is called."""

    def __init__(self, grain: gl.Grain) -> None:
        self._gate = grain.allocate(1, dtype=np.int64)
        self._passed = grain.allocate(1, dtype=np.int64)
        with grain.borrow(self._gate) as view:
            self._word = view  # outlives the borrow, on purpose: nothing else can open the gate
        with grain.borrow(self._passed) as view:
            self._mark = view
        self.done = grain.compute(_wait_for_gate, inputs=[self._gate], outputs=[self._passed])

    def wait_until_running(self) -> None:
        """Return once the kernel itself has said so."""
        limit = time.monotonic() + LIMIT_S
        while self._mark[0] == 0:
            assert time.monotonic() < limit, "the kernel never started"

    def open(self) -> None:
        """Let the kernel end."""
        self._word[0] = 1


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run ``work(0)`` … ``work(count - 1)`` at once; the first failure is raised here."""
    failures: list[BaseException] = []
    start = threading.Barrier(count)

    def guarded(number: int) -> None:
        try:
            start.wait(LIMIT_S)
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(2 * LIMIT_S)
        assert not thread.is_alive(), "a thread never came back"
    if failures:
        raise failures[0]


def kept(completion: gl.Completion[int]) -> int:
    return completion.result(timeout=LIMIT_S)


def asleep(grain: gl.Grain) -> gl.Grain:
    """Deactivate, and see that the pool has the memory."""
    before = grain.manager.metrics().used_pool_size_bytes
    assert grain.deactivate().result(LIMIT_S) is None
    assert "deactivated" in repr(grain)
    assert grain.manager.metrics().used_pool_size_bytes < before
    assert grain.metrics().active_allocation_count > 0
    return grain


@contextmanager
def borrowed_elsewhere(grain: gl.Grain, handle: gl.ResidentArray) -> Iterator[None]:
    """Let another thread hold a borrow until the block ends."""
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with grain.borrow(handle):
            inside.set()
            leave.wait(LIMIT_S)

    thread = threading.Thread(target=hold, daemon=True)
    thread.start()
    assert inside.wait(LIMIT_S)
    try:
        yield
    finally:
        leave.set()
        thread.join(LIMIT_S)


def run_python(
    code: str, *, send: signal.Signals | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in a process of its own; ``send`` goes to it once it prints a line `ready`."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    first = ""
    try:
        if send is not None:
            assert process.stdout is not None
            for line in process.stdout:
                first += line
                if line.strip() == "ready":
                    process.send_signal(send)
                    break
        out, err = process.communicate(timeout=2 * LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"the process hung\n{first}{out}\n{err}", pytrace=False)
    return subprocess.CompletedProcess(process.args, process.returncode, first + out, err)
