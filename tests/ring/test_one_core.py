"""Waiter and worker on the same core."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

TRIPS = 2_000
MOST_CPU_US = 80  # asleep at once 13; spinning for the other to give up the core 170


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux pins a process to a core")
def test_nobody_spins_where_the_other_side_needs_the_core() -> None:
    """Would catch: round trips that cost both sides' whole spin, as in a container of one core."""
    script = f"""
        import os, time
        os.sched_setaffinity(0, {{min(os.sched_getaffinity(0))}})
        import gpures_lab as gl
        with gl.GrainManager(device="host") as lab:
            grain = lab.grain("pinned")
            grain.ping().result()
            begin = time.process_time()
            for _ in range({TRIPS}):
                grain.ping().result()
            print((time.process_time() - begin) / {TRIPS} * 1e6)
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(script)],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert float(done.stdout) < MOST_CPU_US
