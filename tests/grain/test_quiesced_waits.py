"""Inside `lab.quiesced()`: what would wait for ever is refused at once."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S, in_threads

if TYPE_CHECKING:
    from collections.abc import Callable

WAITS: dict[str, Callable[[gl.Grain, gl.ResidentArray], Any]] = {
    "result": lambda _, x: x.read().result(),
    "asarray": lambda _, x: np.asarray(x),
    "checkpoint": lambda grain, _: grain.checkpoint(),
    "borrow": lambda grain, x: grain.borrow(x).__enter__(),
    "await": lambda _, x: asyncio.run(awaited(x)),
}


async def awaited(x: gl.ResidentArray) -> object:
    return await x.read()


@pytest.mark.parametrize("what", WAITS)
def test_a_wait_of_this_thread_is_refused(
    make_lab: Callable[..., gl.GrainManager], what: str, tmp_path: object
) -> None:
    """A notebook that only a restart gets out of."""
    lab = make_lab(state_url=f"sqlite:///{tmp_path}/s.sqlite", blobs_url=f"{tmp_path}/blobs")
    grain = lab.grain("k")
    x = grain.allocate(4)
    x.write(1).result(timeout=LIMIT_S)
    with lab.quiesced(), lab.quiesced():
        x.write(2)
        with pytest.raises(gl.InvalidOption, match=r"grain 'k'.*leave the with block first"):
            WAITS[what](grain, x)
    assert x.read().result(timeout=LIMIT_S).tolist() == [2] * 4
    with grain.borrow(x) as view:  # nothing of the refused one is left
        assert view[0] == 2


def test_what_needs_no_message_to_run_is_done(any_lab: gl.GrainManager) -> None:
    """A refusal of what could be had: an answer that is in, a grain that is idle."""
    grain = any_lab.grain()
    x = grain.allocate(4)
    done = x.write(3)
    grain.barrier().result(timeout=LIMIT_S)
    with any_lab.quiesced():
        done.result()
        with grain.borrow(x) as view:
            assert view.tolist() == [3] * 4


def test_a_transfer_beyond_the_rings_room_is_refused(tiny: gl.GrainManager) -> None:
    """A write in parts that waits for room which nothing makes."""
    grain = tiny.grain()
    x = grain.allocate(16 << 20, dtype=np.uint8)
    grain.ping().result(timeout=LIMIT_S)
    data = np.ones(16 << 20, np.uint8)
    with (
        tiny.quiesced(),
        pytest.raises(gl.InvalidOption, match="leave the with block first"),
    ):
        x.write(data)
    assert not x.read().result(timeout=LIMIT_S).any()


def test_another_thread_waits_for_its_end(tiny: gl.GrainManager) -> None:
    """A window that refuses the waits of everybody."""
    grain = tiny.grain()
    grain.ping().result(timeout=LIMIT_S)
    inside, posted = threading.Event(), threading.Event()

    def work(number: int) -> None:
        if number == 0:
            with tiny.quiesced():
                inside.set()
                assert posted.wait(LIMIT_S)
        else:
            assert inside.wait(LIMIT_S)
            ping = grain.ping()
            posted.set()
            ping.result()

    in_threads(2, work)


def test_another_task_waits_for_its_end(tiny: gl.GrainManager) -> None:
    """A window of one task that refuses what another one awaits."""
    grain = tiny.grain()

    async def window(inside: asyncio.Event, leave: asyncio.Event) -> None:
        with tiny.quiesced():
            inside.set()
            await asyncio.wait_for(leave.wait(), LIMIT_S)
            with pytest.raises(gl.InvalidOption, match="leave the with block first"):
                await grain.ping()

    async def both() -> None:
        inside, leave = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(window(inside, leave))
        await asyncio.wait_for(inside.wait(), LIMIT_S)
        ping = grain.ping()

        async def wait() -> None:
            await ping

        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        leave.set()
        await asyncio.wait_for(asyncio.gather(task, waiting), LIMIT_S)

    asyncio.run(both())
