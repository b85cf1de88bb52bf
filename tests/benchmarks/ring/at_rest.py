"""What does an idle manager cost, and does memory grow with messages?"""

from __future__ import annotations

import time

import gpures_lab as gl
from tests.benchmarks.ring.many_grains import resident_bytes
from tests.benchmarks.row import Row

IDLE_S = 5
MESSAGES = 10_000_000


def run() -> list[Row]:
    """Measure CPU time over five idle seconds, then resident memory over ten million messages."""
    with gl.GrainManager(device="host") as lab:
        grain = lab.grain("rest")
        x = grain.allocate(1024)
        grain.write(x, 1.0).result()
        # The engine parks and the keeper goes to sleep.
        while lab.metrics().engine_state != "PARKED":
            time.sleep(0.01)
        time.sleep(0.2)
        before = time.process_time()
        time.sleep(IDLE_S)
        idle_ms = (time.process_time() - before) * 1e3

        def traffic(messages: int) -> None:
            ping = grain.ping
            for _ in range(messages):
                ping()
            grain.barrier().result()

        traffic(MESSAGES // 10)
        start = resident_bytes()
        traffic(MESSAGES - MESSAGES // 10)
        grown = resident_bytes() - start
        processed = lab.metrics().total_messages_processed
    return [
        Row(
            what=f"idle for {IDLE_S} s",
            measured=f"{idle_ms:.1f} ms of CPU time",
            wanted="< 20 ms",
            met=idle_ms < 20,
            figures={"cpu_ms": idle_ms},
        ),
        Row(
            what="10 M messages",
            measured=f"resident memory {grown / 2**20:+.2f} MiB after the first million",
            wanted="< 5 MiB",
            met=grown < 5 << 20 and processed >= MESSAGES,
            figures={"grown_bytes": grown, "processed": processed},
        ),
    ]
