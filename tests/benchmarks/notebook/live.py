"""What does an open dashboard cost the kernel: CPU, throughput of those who post, memory?

In an ipykernel of its own, whose client takes every message as a page would. CPU is the process's,
so that the sending thread counts; throughput with and without takes turns of a second each.
"""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING, Any

from tests.benchmarks.row import Row

if TYPE_CHECKING:
    from jupyter_client import BlockingKernelClient

__all__ = ["run"]

LIMIT_S = 900
TICKS = 36_000
SETUP = """
import json, statistics, threading, time
import gpures_lab as gl
%load_ext gpures_lab
lab = gl.manager()
grains = [lab.grain(f"grain {n}") for n in range(20)]
arrays = [each.allocate(256) for each in grains]
for each in arrays:
    each.write(1).result()
def share(seconds):
    begin = time.process_time()
    time.sleep(seconds)
    return (time.process_time() - begin) / seconds
def posted(seconds):
    # Two threads that post in batches of 64 and wait for the last, as a streaming cell does.
    counts = [0, 0]
    end = time.perf_counter() + seconds
    def post(number):
        x = arrays[number]
        while time.perf_counter() < end:
            for _ in range(63):
                x.write(2)
            x.write(2).result()
            counts[number] += 64
    threads = [threading.Thread(target=post, args=(n,)) for n in (0, 1)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return sum(counts) / seconds
before = share(5)
"""
SHOW = "board = gl.dashboard(rate_hz=10)\nboard"
CPU = "shares = [share(5) for _ in range(3)]\nprint(json.dumps([before, min(shares)]))"
LOSS = """
board._ticker.paused = True
posted(1)
def turn(paused):
    board._ticker.paused = paused
    return posted(0.4)
# Pairs, so that what the machine does besides meets both; in turn first, so that none has the lead.
pairs = []
for number in range(60):
    first = number % 2 == 0
    one, other = turn(first), turn(not first)
    pairs.append((one, other) if first else (other, one))
board._ticker.paused = False
print(json.dumps(pairs))
"""
# An hour of ten updates a second, as fast as it goes; the first 1,000 fill every bounded history.
HOUR = """
import gc
board._ticker.paused = True
def resident_kib():
    gc.collect()
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
seen = []
for tick in range({ticks}):
    board._next_text_s = 0.0 if tick % 5 == 0 else 1e18  # table and timeline: twice a second
    board._tick()
    if tick % 10 == 0:
        arrays[tick % 20].write(tick).result()
    if tick % 1_000 == 999:
        time.sleep(0.2)  # what is queued for the client goes out
        seen.append(resident_kib())
print(json.dumps(seen))
"""


def run() -> list[Row]:
    """Measure the three."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(startup_timeout=120)
    try:
        _run(client, SETUP)
        _run(client, SHOW)
        without, share = json.loads(_run(client, CPU))
        pairs = json.loads(_run(client, LOSS))
        resident = json.loads(_run(client, HOUR.format(ticks=TICKS)))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()
    cost = share - without
    plain, watched = (statistics.median(each) for each in zip(*pairs, strict=True))
    lost = [1 - with_it / without_it for without_it, with_it in pairs]
    low, loss, high = statistics.quantiles(lost, n=4)
    growth = (resident[-1] - resident[1]) / 1024
    return [
        Row(
            what="dashboard at 10 Hz, 20 grains: CPU of the kernel over without it",
            measured=f"{cost:.1%} of a core",
            wanted="<= 3 % of a core",
            met=cost <= 0.03,
            figures={"without": without, "share": share},
        ),
        Row(
            what="the same: messages/s of two posting threads, turns with and without",
            measured=f"{watched / 1e6:.2f} M/s of {plain / 1e6:.2f} M/s: {loss:.1%} lost, median "
            f"of {len(lost)} pairs (half of them {low:.1%} to {high:.1%})",
            wanted="< 2 % lost",
            met=loss < 0.02,
            figures={"with_per_s": watched, "without_per_s": plain, "lost": lost},
        ),
        Row(
            what="an hour of updates at 10 Hz, run off at once: memory of the kernel",
            measured=f"{growth:+.1f} MiB from update 2,000 to update {TICKS:,}",
            wanted="flat: < 5 MiB",
            met=growth < 5,
            figures={"resident_kib": resident},
        ),
    ]


def _run(client: BlockingKernelClient, code: str) -> str:
    printed: list[str] = []

    def take(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] == "stream":
            printed.append(content["text"])
        elif message["msg_type"] == "error":
            raise RuntimeError("\n".join(content["traceback"]))

    # Its own messages aside, the client throws away what comes: a page that draws nothing.
    client.execute_interactive(code, timeout=LIMIT_S, output_hook=take)
    return "".join(printed)
