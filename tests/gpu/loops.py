"""Many messages: the classic loop on one ring and on four, Noops of four posters on eight rings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import gpures_lab as gl
from tests.gpu.measure import LIMIT_S

__all__ = ["classic_loop", "classic_loop_on_four", "eight_rings"]

MESSAGES = 50_000
A_ROUND = 7  # allocate twice, write, compute, read, release twice


def _together(count: int, work: Callable[[int], None]) -> float:
    """Seconds from the moment at which all threads are ready to the last one's end."""
    ready = threading.Barrier(count + 1)
    wrong: list[BaseException] = []

    def run(number: int) -> None:
        ready.wait(LIMIT_S)
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - told by the caller
            wrong.append(error)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    ready.wait(LIMIT_S)
    since = time.perf_counter()
    for thread in threads:
        thread.join(LIMIT_S)
        if thread.is_alive():
            raise TimeoutError(f"a poster did not end within {LIMIT_S} s")
    if wrong:
        raise wrong[0]
    return time.perf_counter() - since


def _rounds(grain: gl.Grain, data: Any, outs: Any) -> None:
    last = None
    for out in outs:
        x, z = grain.allocate(data.size), grain.allocate(data.size)
        x.write(data)
        grain.compute("kernels/VectorAdd", inputs=[x, x], outputs=[z])
        last = z.read(out=out)
    if last is not None:
        last.result(LIMIT_S)
    grain.barrier().result(LIMIT_S)


def _classic(grains: int) -> dict[str, Any]:
    data = np.arange(1024, dtype=np.float32)
    each = MESSAGES // (A_ROUND * grains)
    with gl.GrainManager(device="cuda:0") as lab:
        # The shared grains have ring 0; the others a ring each.
        made = [lab.grain(f"g{n}", placement="dedicated" if n else "shared") for n in range(grains)]
        outs = np.full((grains, each, data.size), np.nan, np.float32)
        warm = np.empty((100, data.size), np.float32)
        for grain in made:
            _rounds(grain, data, warm)
        before = lab.metrics()
        spent = _together(grains, lambda n: _rounds(made[n], data, outs[n]))
        after = lab.metrics()
        assert (outs == data + data).all(), "a result is wrong"
        messages = after.total_messages_processed - before.total_messages_processed
        hits = after.pool_hit_count - before.pool_hit_count
        misses = after.pool_miss_count - before.pool_miss_count
        return {
            "grains": grains,
            "messages_per_s": messages / spent,
            "pool_hit_rate": hits / (hits + misses),
            "kernel_cache_hit_rate": after.kernel_cache_hit_rate,
        }


def classic_loop() -> dict[str, Any]:
    """The classic loop of 50,000 messages, checked after the clock; one grain."""
    return _classic(1)


def classic_loop_on_four() -> dict[str, Any]:
    """The same on four grains and four rings, with a thread each."""
    return _classic(4)


def eight_rings() -> dict[str, Any]:
    """Noops on eight rings, posted by four threads in native code; and one ring with one."""
    count = 200_000
    rows = gl.messages(count, op="noop")
    with gl.GrainManager(device="cuda:0", ring=gl.RingOptions(linger_us=3000)) as lab:
        grains = [lab.grain(f"g{n}", placement="dedicated" if n else "shared") for n in range(8)]
        for grain in grains:
            grain.submit(rows[:1000]).result(LIMIT_S)
        before = lab.metrics().total_messages_processed

        def post(poster: int) -> None:
            mine = grains[poster::4]
            for _ in range(5):
                for sent in [grain.submit(rows) for grain in mine]:
                    sent.result(LIMIT_S)

        eight = _together(4, post)
        after = lab.metrics().total_messages_processed
        assert after - before == 8 * 5 * count, "messages were lost"
        since = time.perf_counter()
        for _ in range(5):
            grains[0].submit(rows).result(LIMIT_S)
        one = time.perf_counter() - since
    return {
        "one_ring_messages_per_s": 5 * count / one,
        "eight_rings_messages_per_s": 8 * 5 * count / eight,
    }
