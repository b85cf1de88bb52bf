"""What does it cost to hand work to something else and get its answer, beside other ways?

An echo: one message there, one answer back, p50 and p99 of single round trips; then many messages
with one wait at the end, in messages a second. Rivals in this process: a thread pool, two
`SimpleQueue`s with a thread between. In their own: PyDotCompute's actors, a Ray actor.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import gpures_lab as gl
from tests.benchmarks import rivals
from tests.benchmarks.duel import OURS, duration
from tests.benchmarks.latency import Latency, round_trips
from tests.benchmarks.row import Row

MESSAGES = 100_000
TRIPS = 20_000


class QueueThread:
    """A thread that answers what comes in one queue through another."""

    def __init__(self) -> None:
        self.there: SimpleQueue[Any] = SimpleQueue()
        self.back: SimpleQueue[Any] = SimpleQueue()
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self) -> None:
        while (message := self.there.get()) is not None:
            self.back.put(message)

    def echo(self, value: int) -> int:
        """Wait for one answer."""
        self.there.put(value)
        answer: int = self.back.get()
        return answer

    def close(self) -> None:
        """End the thread."""
        self.there.put(None)
        self.thread.join()


def rate(send_all: Callable[[], object], messages: int) -> float:
    """Messages a second, the best of three."""
    best = float("inf")
    for _ in range(3):
        begin = time.perf_counter()
        send_all()
        best = min(best, time.perf_counter() - begin)
    return messages / best


def ours() -> tuple[Latency, Latency, float, float]:
    """Noop, a number written and read back; Noops pipelined, one call each and as one batch."""
    with gl.GrainManager(device="host") as lab:
        grain = lab.grain("echo")
        ping = grain.ping
        noop = round_trips(lambda _n: ping().result(), TRIPS)
        x = grain.allocate(1, dtype="int64")

        def there_and_back(n: int) -> None:
            grain.write(x, n)
            assert grain.read(x).result()[0] == n

        number = round_trips(there_and_back, TRIPS)

        rows = gl.messages(MESSAGES, op="noop")

        def counted(send_all: Callable[[], object]) -> None:
            before = lab.metrics().total_messages_processed
            send_all()
            assert lab.metrics().total_messages_processed >= before + MESSAGES

        def one_by_one() -> None:
            for _ in range(MESSAGES):
                ping()
            grain.barrier().result()

        single = rate(lambda: counted(one_by_one), MESSAGES)
        batch = rate(lambda: counted(lambda: grain.submit(rows).result()), MESSAGES)
        return noop, number, single, batch


def thread_pool() -> tuple[Latency, float]:
    """The same through a thread pool of one."""
    with ThreadPoolExecutor(1) as threads:
        latency = round_trips(lambda n: threads.submit(int, n).result(), TRIPS // 4)
        count = MESSAGES // 4
        return latency, rate(
            lambda: [each.result() for each in [threads.submit(int, n) for n in range(count)]],
            count,
        )


def queues() -> tuple[Latency, float]:
    """The same through two queues."""
    worker = QueueThread()
    try:
        latency = round_trips(worker.echo, TRIPS // 4)

        def many() -> None:
            for n in range(MESSAGES):
                worker.there.put(n)
            for n in range(MESSAGES):
                assert worker.back.get() == n

        return latency, rate(many, MESSAGES)
    finally:
        worker.close()


def run() -> list[Row]:
    """Measure ours, then each rival, one after the other."""
    noop, number, per_s, batch_per_s = ours()
    pool, pool_per_s = thread_pool()
    queue, queue_per_s = queues()
    trips = {
        OURS: noop.p50_s,
        f"{OURS}, number written and read": number.p50_s,
        "ThreadPoolExecutor": pool.p50_s,
        "SimpleQueue": queue.p50_s,
    }
    rates = {
        OURS: batch_per_s,
        f"{OURS}, one call each": per_s,
        "ThreadPoolExecutor": pool_per_s,
        "SimpleQueue": queue_per_s,
    }
    actors = rivals.measure("pydotcompute_actors.py", "pydotcompute")
    ray = rivals.measure("ray_actor.py", "ray")
    missing = {}
    if isinstance(actors, str):
        missing["PyDotCompute"] = actors
    else:
        for tier, found in actors["tiers"].items():
            trips[f"PyDotCompute tier {tier}"] = found["p50_s"]
            rates[f"PyDotCompute tier {tier}"] = found["per_s"]
        for tier, why in actors["missing"].items():
            missing[f"PyDotCompute tier {tier}"] = why
    if isinstance(ray, str):
        missing["Ray"] = ray
    else:
        trips["Ray actor"], rates["Ray actor"] = ray["p50_s"], ray["per_s"]
    fastest = min((v for n, v in trips.items() if n.startswith("PyDot")), default=None)
    busiest = max((v for n, v in rates.items() if n.startswith("PyDot")), default=None)
    gap = fastest / trips[OURS] if fastest else None
    lead = rates[OURS] / busiest if busiest else None
    unmeasured = "".join(f"; {name}: {why}" for name, why in missing.items())
    winner = min((n for n in trips if not n.startswith(f"{OURS},")), key=lambda n: trips[n])
    others = [v for n, v in trips.items() if not n.startswith(OURS)]
    busy = max(rates, key=lambda n: rates[n])
    other = max(v for n, v in rates.items() if not n.startswith(OURS))
    return [
        Row(
            what="echo from Python, p50 of round trips",
            measured="; ".join(
                f"{name} {duration(p50)}"
                + ("" if name.startswith(OURS) else f" = {p50 / trips[OURS]:.0f} x")
                for name, p50 in trips.items()
            )
            + unmeasured,
            wanted=">= 30 x below PyDotCompute's fastest tier" if gap else "",
            met=gap >= 30 if gap else None,
            winner=winner,
            factor=(min(others) if winner == OURS else trips[OURS]) / trips[winner],
            figures={
                "p50_s": trips,
                "missing": missing,
                "latency": {
                    f"{OURS}: Noop": noop.figures(),
                    f"{OURS}: number there and back": number.figures(),
                    "ThreadPoolExecutor": pool.figures(),
                    "SimpleQueue": queue.figures(),
                },
                "pydotcompute": actors,
                "ray": ray,
            },
        ),
        Row(
            what=f"{MESSAGES:,} echoes from Python, ours as one batch and one call each",
            measured="; ".join(
                f"{name} {value / 1e6:.3g} M/s"
                + ("" if name.startswith(OURS) else f" = {value / rates[OURS]:.2g} x")
                for name, value in rates.items()
            )
            + unmeasured,
            wanted=">= 100 x PyDotCompute's fastest tier" if lead else "",
            met=lead >= 100 if lead else None,
            winner=busy,
            factor=rates[busy] / (other if busy.startswith(OURS) else rates[OURS]),
            figures={"per_s": rates, "missing": missing},
        ),
    ]
