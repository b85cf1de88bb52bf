"""Programs: recorded once, replayed by the worker, right whatever interrupts them."""

from __future__ import annotations

import ctypes
import gc
import time

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.errors import (
    Cancelled,
    RingClosed,
)
from tests.grain.counting import add_to, counter
from tests.grain.engines import LIMIT_S


@gl.kernel
def passed(i, z, flag, most):  # type: ignore[no-untyped-def]
    flag[i] = z[0] >= most


def test_a_run_equals_the_same_calls(brief: gl.GrainManager) -> None:
    """Would catch: a step lost, repeated, or run while it was recorded."""
    grain = brief.grain()
    x = grain.allocate((5, 7))
    z = grain.allocate((5, 7))
    data = np.random.default_rng(3).random((5, 7), dtype=np.float32)
    with grain.record() as program:
        grain.write(x, data)
        grain.compute("kernels/Saxpy", inputs=[x, z], outputs=[z], params={"a": 0.5})
        grain.barrier()
        grain.ping()
        grain.write(x, 2.0)
        grain.compute("kernels/VectorAdd", inputs=[x, z], outputs=[z])
    assert not np.asarray(z).any()
    result = program.run(repeat=9).result(LIMIT_S)
    assert (result.iterations, result.steps, len(program)) == (9, 54, 6)
    twin = np.zeros_like(data)
    for _ in range(9):
        twin = np.float32(0.5) * data + twin
        twin = np.float32(2) + twin
    assert np.array_equal(np.asarray(z), twin)


def test_params_are_of_one_run_and_change_nothing_recorded(brief: gl.GrainManager) -> None:
    """Would catch: late-bound scalars written into the program, or given to another name."""
    grain = brief.grain()
    z = grain.allocate(3)
    with grain.record() as program:
        grain.compute(add_to, outputs=[z], params={"a": 1.0})
        grain.compute(add_to, outputs=[z], params={"a": 10.0})
    assert program.params == ("a",)
    for params, total in (({"a": 2.0}, 4), (None, 15), ({"a": 0.5}, 16)):
        program.run(params=params).result(LIMIT_S)
        assert np.asarray(z).tolist() == [total] * 3


def test_a_complex_parameter_takes_both_its_words(brief: gl.GrainManager) -> None:
    """Would catch: only the first word of a wide parameter bound late."""
    grain = brief.grain(dtype=np.complex128)
    z = grain.allocate(2)
    with grain.record() as program:
        grain.compute(add_to, outputs=[z], params={"a": 1 + 2j})
    program.run(params={"a": 3 - 4j}).result(LIMIT_S)
    assert np.asarray(z).tolist() == [3 - 4j] * 2


@pytest.mark.parametrize(("every", "iterations"), [(1, 8), (3, 9), (100, 20)])
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float32, np.float64])
def test_until_ends_the_run_after_the_iteration_that_sets_it(
    brief: gl.GrainManager, every: int, iterations: int, dtype: type
) -> None:
    """Would catch: until read before the step's end, at the wrong width, or not every time."""
    grain = brief.grain()
    z = grain.allocate(1)
    flag = grain.allocate(1, dtype=dtype)
    with grain.record() as program:
        grain.compute(add_to, outputs=[z], params={"a": 1.0})
        grain.compute(passed, inputs=[z], outputs=[flag], params={"most": 7.5})
    result = program.run(repeat=20, until=flag, every=every).result(LIMIT_S)
    assert result.iterations == iterations
    assert np.asarray(z)[0] == iterations


def test_until_takes_negative_zero_for_zero(brief: gl.GrainManager) -> None:
    """Would catch: the bits of a float looked at instead of its value."""
    grain = brief.grain()
    flag = grain.allocate(1)
    grain.write(flag, -0.0)
    _, program = counter(grain)
    assert program.run(repeat=3, until=flag).result(LIMIT_S).iterations == 3


def test_several_grains_of_one_ring(brief: gl.GrainManager) -> None:
    """Would catch: a step's handles checked against the grain that runs the program."""
    one, two = brief.grain("one"), brief.grain("two")
    x, y = one.allocate(4), two.allocate(4)
    with one.record() as program:
        one.compute(add_to, outputs=[x], params={"a": 1.0})
        two.compute(add_to, outputs=[y], params={"a": 2.0})
    program.run(repeat=5).result(LIMIT_S)
    assert np.asarray(x).tolist() == [5] * 4
    assert np.asarray(y).tolist() == [10] * 4


def test_progress_survives_lease_exits(brief: gl.GrainManager) -> None:
    """Would catch: steps lost or repeated where a launch ended in the middle of a program."""
    grain = brief.grain()
    z, program = counter(grain, steps=7)
    before = brief._engine.snapshot()["launches"]
    result = program.run(repeat=600_000).result(LIMIT_S)
    assert np.asarray(z)[0] == 7 * 600_000
    assert result.iterations == 600_000
    assert brief._engine.snapshot()["launches"] > before + 1


def test_work_of_earlier_launches_is_no_waiting(brief: gl.GrainManager) -> None:
    """Would catch: a queue time that has the launches before the last in it, so more than all."""
    grain = brief.grain()
    _, program = counter(grain, steps=7)
    result = program.run(repeat=600_000).result(LIMIT_S)
    assert brief._engine.snapshot()["launches"] > 2
    assert result.queue_ns + result.execution_time_ns <= result.round_trip_ns


def test_a_park_in_the_middle_of_a_program(brief: gl.GrainManager) -> None:
    """Would catch: a program that cannot be parked, or that goes on inside `quiesced`."""
    grain = brief.grain()
    z, program = counter(grain, steps=3)
    completion = program.run(repeat=300_000)
    for _ in range(5):
        with brief.quiesced():
            assert brief._engine.state == "PARKED"
    completion.result(LIMIT_S)
    assert np.asarray(z)[0] == 900_000


def test_cancel_ends_a_running_program_after_a_step(brief: gl.GrainManager) -> None:
    """Would catch: a program that nobody can stop."""
    grain = brief.grain()
    z, program = counter(grain, steps=2)
    completion = program.run(repeat=2**62)
    end = time.monotonic() + LIMIT_S
    while not completion.progress():
        assert time.monotonic() < end, "the program never started"
    grain.cancel()
    with pytest.raises(Cancelled, match=r"iteration \d+, step \d"):
        completion.result(LIMIT_S)
    done = int(np.asarray(z)[0])
    program.run(repeat=2).result(LIMIT_S)
    assert np.asarray(z)[0] == done + 4


def test_close_ends_a_running_program() -> None:
    """Would catch: close() waiting for a program that would run for years."""
    with gl.GrainManager(device="host") as lab:
        _, program = counter(lab.grain())
        completion = program.run(repeat=2**62)
        lab.grain().cancel()
    assert isinstance(completion.exception(LIMIT_S), Cancelled)
    with pytest.raises(RingClosed):
        program.run()


def test_a_program_without_steps_ends(brief: gl.GrainManager) -> None:
    """Would catch: a worker that never comes back from an empty program."""
    grain = brief.grain()
    with grain.record() as program:
        pass
    assert program.run(repeat=1000).result(LIMIT_S).iterations == 1000
    assert program.run(repeat=0).result(LIMIT_S).iterations == 0


def test_a_dropped_program_is_replayed_all_the_same(brief: gl.GrainManager) -> None:
    """Would catch: program memory or handles given back while a held-back run needs them."""
    grain = brief.grain()
    z, program = counter(grain)
    with grain.borrow(z) as view:
        program.run(repeat=5)
        del program
        gc.collect()
        assert view[0] == 0
    assert grain.read(z).result(LIMIT_S)[0] == 5


def test_programs_give_their_memory_back(brief: gl.GrainManager) -> None:
    """Would catch: every re-run of a recording cell keeping its program."""
    grain = brief.grain()
    z, program = counter(grain)
    del program
    grain.barrier().result(LIMIT_S)
    before = brief.metrics().active_allocation_count
    for _ in range(10):
        with grain.record() as program:
            grain.ping()
        program.run().result(LIMIT_S)
        del program
    grain.barrier().result(LIMIT_S)
    assert brief.metrics().active_allocation_count == before == int(not z.released)


def test_no_python_and_no_message_between_first_and_last_step() -> None:
    """Would catch: steps posted one by one, or a replay that needs the GIL."""
    with gl.GrainManager(device="host") as lab:
        grain = lab.grain()
        z, program = counter(grain, steps=100)
        program.run(repeat=10).result(LIMIT_S)
        sample = program.run(repeat=20_000).result(LIMIT_S)
        repeat = int(20_000 * 0.2e9 / sample.execution_time_ns)
        before = lab._engine.snapshot()["messages_posted"]
        completion = program.run(repeat=repeat)
        held_us = 0
        while lab._engine.snapshot()["messages_processed"] <= before and held_us < 20_000_000:
            ctypes.PyDLL(None).usleep(400_000)  # PyDLL keeps the GIL
            held_us += 400_000
        assert completion.done()
        assert lab._engine.snapshot()["messages_posted"] == before + 1
        assert np.asarray(z)[0] == 100 * (10 + 20_000 + repeat)


def test_the_manager_knows_what_runs(brief: gl.GrainManager) -> None:
    """Would catch: an ended, dropped or foreign run that is listed; a list that keeps memory."""
    grain = brief.grain("counting")
    _, program = counter(grain, steps=2)
    ended = [program.run(repeat=3) for _ in range(100)]
    assert ended[-1].result(LIMIT_S).iterations == 3
    assert not brief.runs
    run = program.run(repeat=2**40)
    queued = program.run(repeat=5)
    program.run(repeat=6)  # nobody holds it
    first, second = list(brief.runs)
    assert (first.grain, first.program, first.steps, first.repeat) == ("counting", None, 2, 2**40)
    assert (second.done, second.repeat) == (0, 5)
    end = time.monotonic() + LIMIT_S
    while not brief.runs[0].done:
        assert time.monotonic() < end
    grain.cancel()
    assert isinstance(queued.exception(LIMIT_S), Cancelled)
    assert run.done()
    assert not brief.runs
    assert len(brief._runs._runs) == 0


def test_progress_of_a_running_program(brief: gl.GrainManager) -> None:
    """Would catch: a bar that stands still, runs backwards, or shows another run's iterations."""
    grain = brief.grain()
    z, program = counter(grain)
    before = program.run(repeat=1000)
    before.result(LIMIT_S)
    assert before.progress() == 1000
    run = program.run(repeat=2**40)
    queued = program.run(repeat=5)
    seen = [0]
    end = time.monotonic() + LIMIT_S
    while len(set(seen)) < 4:
        assert time.monotonic() < end, f"progress stands at {seen[-1]}"
        seen.append(run.progress())
        assert queued.progress() == 0
    assert seen == sorted(seen)
    grain.cancel()
    assert isinstance(run.exception(LIMIT_S), Cancelled)
    assert run.progress() >= seen[-1]
    grain.barrier().result(LIMIT_S)
    assert int(np.asarray(z)[0]) == 1000 + run.progress()
    assert grain.ping().progress() is None
