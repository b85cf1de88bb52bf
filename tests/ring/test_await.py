"""`await completion` on asyncio."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, Latch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def value_of(completion: Awaitable[Any]) -> Any:
    return await completion


def run(main: Callable[[], Any]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(main(), LIMIT_S)

    return asyncio.run(bounded())


def test_await_gives_the_result_and_raises_the_error(tiny: gl.GrainManager) -> None:
    """An await that returns the completion, or swallows its error."""

    @gl.kernel
    def outside(i, x):  # type: ignore[no-untyped-def]
        x[i + 1] = 1

    grain = tiny.grain()
    x = grain.allocate(3)

    async def main() -> None:
        assert (await x.read()).tolist() == [0] * 3
        with pytest.raises(gl.OutOfBounds):
            await grain.compute(outside, outputs=[x])

    run(main)


def test_gather_of_a_thousand(any_lab: gl.GrainManager) -> None:
    """A wake-up lost among many: the gather would never end."""
    grain = any_lab.grain()
    x = grain.allocate(1)

    async def main() -> list[float]:
        reads = []
        for k in range(1000):
            x.write(float(k))
            reads.append(value_of(x.read()))
        return [each[0] for each in await asyncio.gather(*reads)]

    assert run(main) == list(range(1000))


def test_the_loop_runs_other_tasks_meanwhile(tiny: gl.GrainManager) -> None:
    """An await that blocks the loop: the task that opens the latch would never run."""
    grain = tiny.grain()

    async def main() -> None:
        latch = Latch(grain)

        async def opener() -> None:
            latch.open()

        await asyncio.gather(value_of(latch.done), opener())

    run(main)


def test_await_twice_and_after_result(tiny: gl.GrainManager) -> None:
    """An await that works once."""
    x = tiny.grain().allocate(2)

    async def main() -> None:
        read = x.read()
        first = await read
        assert (await read) is first
        assert read.result() is first

    run(main)


def test_two_tasks_await_one_completion(tiny: gl.GrainManager) -> None:
    """A second waiter that replaces the first."""
    grain = tiny.grain()

    async def main() -> None:
        latch = Latch(grain)
        waiting = [asyncio.ensure_future(value_of(latch.done)) for _ in range(3)]
        await asyncio.sleep(0)
        latch.open()
        first, *others = await asyncio.gather(*waiting)
        assert all(other == first for other in others)

    run(main)


def test_two_loops_await_one_completion(tiny: gl.GrainManager) -> None:
    """The second loop takes the wake-up of the first, which then waits for ever."""
    grain = tiny.grain()
    latch = Latch(grain)
    waiting = threading.Barrier(3)
    seen: list[str] = []

    def work() -> None:
        async def main() -> None:
            task = asyncio.ensure_future(value_of(latch.done))
            await asyncio.sleep(0)  # the task waits from here on
            await asyncio.get_running_loop().run_in_executor(None, waiting.wait, LIMIT_S)
            seen.append((await task).kernel)

        run(main)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    waiting.wait(LIMIT_S)
    latch.open()
    for thread in threads:
        thread.join(LIMIT_S)
    assert seen == ["wait_for_gate"] * 2


def test_a_cancelled_await_leaves_the_message_alone(tiny: gl.GrainManager) -> None:
    """wait_for that runs out and takes the request, or the loop, with it."""
    grain = tiny.grain()

    async def main() -> None:
        latch = Latch(grain)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(value_of(latch.done), 0.01)
        latch.open()
        assert (await latch.done).kernel == "wait_for_gate"
        await grain.ping()

    run(main)


@pytest.mark.parametrize("cancelled_first", [False, True])
def test_a_loop_that_ended_is_not_written_to(
    make_lab: Callable[..., gl.GrainManager], cancelled_first: bool
) -> None:
    """An answer written to a descriptor that meanwhile belongs to somebody's file."""
    latch = Latch(make_lab().grain())
    other = make_lab().grain()  # of another engine: this one's waits for the latch

    async def main() -> None:
        task = asyncio.ensure_future(value_of(latch.done))
        await asyncio.sleep(0)
        if cancelled_first:
            task.cancel()
            await other.ping()  # the loop's descriptor is read, and what was cancelled dropped

    asyncio.run(main())
    gc.collect()
    # The lowest free descriptors are taken again, by pipes that nobody else writes to.
    pipes = [os.pipe() for _ in range(40)]
    try:
        latch.open()
        latch.done.result(timeout=LIMIT_S)
        for reader, _ in pipes:
            os.set_blocking(reader, False)
            with pytest.raises(BlockingIOError):
                os.read(reader, 8)
    finally:
        for pair in pipes:
            for descriptor in pair:
                os.close(descriptor)


def test_many_loops_one_after_the_other(tiny: gl.GrainManager) -> None:
    """A descriptor kept for each loop that ever was."""
    grain = tiny.grain()

    async def main() -> None:
        await asyncio.gather(*(value_of(grain.ping()) for _ in range(5)))

    run(main)
    gc.collect()
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []  # noqa: PTH112
    for _ in range(50):
        run(main)
    gc.collect()
    if before:
        assert len(os.listdir("/proc/self/fd")) <= len(before)


def test_a_loop_run_inside_a_borrow(tiny: gl.GrainManager) -> None:
    """As above, where the borrow was entered outside any task."""
    grain = tiny.grain()
    x = grain.allocate(2)
    with grain.borrow(x):
        held = x.read()
        with pytest.raises(gl.InvalidOption, match="grain is borrowed"):
            run(lambda: value_of(held))
    assert held.result(timeout=LIMIT_S).tolist() == [0, 0]


def test_await_of_what_a_borrow_holds_back_raises(tiny: gl.GrainManager) -> None:
    """A task that waits for itself, for ever."""
    grain = tiny.grain()
    x = grain.allocate(2)

    async def main() -> None:
        with grain.borrow(x):
            held = x.read()
            with pytest.raises(gl.InvalidOption, match="grain is borrowed"):
                await held
        assert (await held).tolist() == [0, 0]
        with grain.borrow(x):
            held = x.read()
            # Another task may wait: this one will leave the block.
            other = asyncio.ensure_future(value_of(held))
            await asyncio.sleep(0)
        assert (await other).tolist() == [0, 0]

    run(main)
