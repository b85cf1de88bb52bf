"""What does the ring cost over the bare hardware, without Python?

Floors: two threads and a cache line (best of four variants), a bare SPSC ring of 64-byte slots;
both in the same process as the ring.
"""

from __future__ import annotations

import json
import subprocess

from tests.benchmarks.build import native
from tests.benchmarks.row import Row

LARGEST_FLOOR_NS = 250


def run() -> list[Row]:
    """Run the native benchmark and compare."""
    program = native("ring")
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    figures = json.loads(output)
    floor = figures["floor_ping_pong_ns"]
    trip = figures["round_trip_p50_ns"]
    spsc = figures["floor_spsc_per_s"]
    single = figures["noop_per_s"]
    batched = figures["noop_batched_per_s"]
    void = f" (void: floor above {LARGEST_FLOOR_NS} ns)" if floor > LARGEST_FLOOR_NS else ""
    return [
        Row(
            what="native round trip of a Noop, p50",
            measured=f"{trip:.0f} ns = {trip / floor:.2f} x floor {floor:.0f} ns{void}",
            wanted="<= 2 x floor",
            met=trip <= 2 * floor and not void,
            figures=figures,
        ),
        Row(
            what="native throughput, one ring, batches of 64",
            measured=f"{batched / 1e6:.1f} M/s = {batched / spsc:.2f} x bare SPSC "
            f"{spsc / 1e6:.1f} M/s",
            wanted=">= 10 M/s and >= 0.5 x bare SPSC",
            met=batched >= 10e6 and batched >= 0.5 * spsc,
        ),
        Row(
            what="native throughput, one ring, one call a message",
            measured=f"{single / 1e6:.1f} M/s = {single / spsc:.2f} x bare SPSC",
        ),
        Row(
            what="pool rent + return, native",
            measured=f"{figures['pool_rent_return_ns']:.0f} ns",
            wanted="<= 100 ns",
            met=figures["pool_rent_return_ns"] <= 100,
        ),
    ]
