"""Programs: recorded once, replayed by the worker, right whatever interrupts them."""

from __future__ import annotations

import ctypes
import gc
import re
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.errors import (
    Cancelled,
    DtypeMismatch,
    InvalidOption,
    OutOfBounds,
    RingClosed,
    StaleHandle,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT_S = 30


@gl.kernel
def add_to(i, z, a):  # type: ignore[no-untyped-def]
    z[i] = z[i] + a


@gl.kernel
def passed(i, z, flag, most):  # type: ignore[no-untyped-def]
    flag[i] = z[0] >= most


@gl.kernel
def past_the_end(i, x, z, at):  # type: ignore[no-untyped-def]
    z[i] = x[i + at]


@pytest.fixture
def lab() -> Iterator[gl.GrainManager]:
    with gl.GrainManager(device="host", ring=gl.RingOptions(slots=4, lease_ms=1)) as lab:
        yield lab


def counter(grain: gl.Grain, steps: int = 1) -> tuple[gl.ResidentArray, object]:
    """An allocation, and a program that adds 1 to it `steps` times."""
    z = grain.allocate(1, dtype=np.int64)
    with grain.record() as program:
        for _ in range(steps):
            assert grain.compute(add_to, outputs=[z], params={"a": 1}) is None
    return z, program


def test_a_run_equals_the_same_calls(lab: gl.GrainManager) -> None:
    """Would catch: a step lost, repeated, or run while it was recorded."""
    grain = lab.grain()
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


def test_params_are_of_one_run_and_change_nothing_recorded(lab: gl.GrainManager) -> None:
    """Would catch: late-bound scalars written into the program, or given to another name."""
    grain = lab.grain()
    z = grain.allocate(3)
    with grain.record() as program:
        grain.compute(add_to, outputs=[z], params={"a": 1.0})
        grain.compute(add_to, outputs=[z], params={"a": 10.0})
    assert program.params == ("a",)
    for params, total in (({"a": 2.0}, 4), (None, 15), ({"a": 0.5}, 16)):
        program.run(params=params).result(LIMIT_S)
        assert np.asarray(z).tolist() == [total] * 3


def test_a_complex_parameter_takes_both_its_words(lab: gl.GrainManager) -> None:
    """Would catch: only the first word of a wide parameter bound late."""
    grain = lab.grain(dtype=np.complex128)
    z = grain.allocate(2)
    with grain.record() as program:
        grain.compute(add_to, outputs=[z], params={"a": 1 + 2j})
    program.run(params={"a": 3 - 4j}).result(LIMIT_S)
    assert np.asarray(z).tolist() == [3 - 4j] * 2


@pytest.mark.parametrize(("every", "iterations"), [(1, 8), (3, 9), (100, 20)])
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float32, np.float64])
def test_until_ends_the_run_after_the_iteration_that_sets_it(
    lab: gl.GrainManager, every: int, iterations: int, dtype: type
) -> None:
    """Would catch: until read before the step's end, at the wrong width, or not every time."""
    grain = lab.grain()
    z = grain.allocate(1)
    flag = grain.allocate(1, dtype=dtype)
    with grain.record() as program:
        grain.compute(add_to, outputs=[z], params={"a": 1.0})
        grain.compute(passed, inputs=[z], outputs=[flag], params={"most": 7.5})
    result = program.run(repeat=20, until=flag, every=every).result(LIMIT_S)
    assert result.iterations == iterations
    assert np.asarray(z)[0] == iterations


def test_until_takes_negative_zero_for_zero(lab: gl.GrainManager) -> None:
    """Would catch: the bits of a float looked at instead of its value."""
    grain = lab.grain()
    flag = grain.allocate(1)
    grain.write(flag, -0.0)
    _, program = counter(grain)
    assert program.run(repeat=3, until=flag).result(LIMIT_S).iterations == 3


def test_several_grains_of_one_ring(lab: gl.GrainManager) -> None:
    """Would catch: a step's handles checked against the grain that runs the program."""
    one, two = lab.grain("one"), lab.grain("two")
    x, y = one.allocate(4), two.allocate(4)
    with one.record() as program:
        one.compute(add_to, outputs=[x], params={"a": 1.0})
        two.compute(add_to, outputs=[y], params={"a": 2.0})
    program.run(repeat=5).result(LIMIT_S)
    assert np.asarray(x).tolist() == [5] * 4
    assert np.asarray(y).tolist() == [10] * 4


def test_a_grain_of_another_ring_is_refused(lab: gl.GrainManager) -> None:
    """Would catch: a program that touches what another worker may be changing."""
    grain, other = lab.grain(), lab.grain("hot", placement="dedicated")
    with grain.record() as program, pytest.raises(InvalidOption, match="another ring"):
        other.ping()
    assert len(program) == 0
    z, hot = counter(other)
    hot.run(repeat=4).result(LIMIT_S)
    assert np.asarray(z)[0] == 4


def test_what_a_program_cannot_hold_is_refused_and_the_rest_recorded(
    lab: gl.GrainManager,
) -> None:
    """Would catch: an allocation made, or data moved, in the middle of a recording."""
    grain = lab.grain()
    z = grain.allocate(2000)
    with grain.record() as program:
        for call in (
            lambda: grain.allocate(4),
            lambda: grain.read(z),
            lambda: grain.release(z),
            lambda: grain.write(z, np.ones(2000, np.float32)),
            lambda: grain.record().__enter__(),
            lambda: program.run(),
        ):
            with pytest.raises(InvalidOption):
                call()
        grain.write(z, 3.0)
    assert len(program) == 1
    assert not np.asarray(z).any()
    program.run().result(LIMIT_S)
    assert np.asarray(z).tolist() == [3] * 2000


def test_an_error_inside_the_block_ends_the_recording(lab: gl.GrainManager) -> None:
    """Would catch: a thread that goes on recording after its block has ended."""
    grain = lab.grain()
    program = grain.record()
    with pytest.raises(ZeroDivisionError), program:
        grain.ping()
        _ = 1 / 0
    grain.ping().result(LIMIT_S)
    with pytest.raises(InvalidOption, match="broken"):
        program.run()


def test_a_released_handle_fails_the_run_before_anything_runs(lab: gl.GrainManager) -> None:
    """Would catch: half a program run on memory that is another allocation's by now."""
    grain = lab.grain()
    z, program = counter(grain)
    y = grain.allocate(1)
    with grain.record() as both:
        grain.compute(add_to, outputs=[z], params={"a": 1})
        grain.compute(add_to, outputs=[y], params={"a": 1.0})
    grain.release(y)
    with pytest.raises(StaleHandle, match="record it again"):
        both.run()
    assert np.asarray(z)[0] == 0
    program.run().result(LIMIT_S)


@pytest.mark.parametrize(
    "options",
    [{"repeat": -1}, {"repeat": 1.5}, {"repeat": True}, {"every": 0}, {"params": {"b": 1}}],
)
def test_bad_options_are_refused(lab: gl.GrainManager, options: dict[str, object]) -> None:
    """Would catch: an endless or empty run from an option out of range."""
    _, program = counter(lab.grain())
    with pytest.raises(InvalidOption):
        program.run(**options)


def test_a_parameter_keeps_its_recorded_type(lab: gl.GrainManager) -> None:
    """Would catch: a float's bits handed to a kernel compiled for an integer."""
    _, program = counter(lab.grain())
    with pytest.raises(DtypeMismatch, match="recorded as 1"):
        program.run(params={"a": 0.5})


def test_until_must_be_one_real_element(lab: gl.GrainManager) -> None:
    """Would catch: the first of many elements taken for the answer."""
    grain = lab.grain()
    _, program = counter(grain)
    for until in (grain.allocate(2), grain.allocate(1, dtype=np.complex64)):
        with pytest.raises(InvalidOption, match="one bool"):
            program.run(until=until)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"until": 3}, "int is no resident array"),
        ({"until": np.zeros(1)}, "NumPy array on the host"),
        ({"params": [1.0]}, "pass a dict of name: number"),
        ({"params": {1: 1.0, "b": 2.0}}, "no parameter 'b', 1"),
    ],
    ids=repr,
)
def test_run_says_what_is_no_handle_and_no_dict(
    lab: gl.GrainManager, options: dict[str, object], said: str
) -> None:
    """Would catch: an AttributeError or TypeError from inside the package."""
    _, program = counter(lab.grain())
    with pytest.raises(InvalidOption, match=said):
        program.run(**options)


def test_progress_survives_lease_exits(lab: gl.GrainManager) -> None:
    """Would catch: steps lost or repeated where a launch ended in the middle of a program."""
    grain = lab.grain()
    z, program = counter(grain, steps=7)
    before = lab._engine.snapshot()["launches"]
    result = program.run(repeat=600_000).result(LIMIT_S)
    assert np.asarray(z)[0] == 7 * 600_000
    assert result.iterations == 600_000
    assert lab._engine.snapshot()["launches"] > before + 1


def test_work_of_earlier_launches_is_no_waiting(lab: gl.GrainManager) -> None:
    """Would catch: a queue time that has the launches before the last in it, so more than all."""
    grain = lab.grain()
    _, program = counter(grain, steps=7)
    result = program.run(repeat=600_000).result(LIMIT_S)
    assert lab._engine.snapshot()["launches"] > 2
    assert result.queue_ns + result.execution_time_ns <= result.round_trip_ns


def test_a_park_in_the_middle_of_a_program(lab: gl.GrainManager) -> None:
    """Would catch: a program that cannot be parked, or that goes on inside `quiesced`."""
    grain = lab.grain()
    z, program = counter(grain, steps=3)
    completion = program.run(repeat=300_000)
    for _ in range(5):
        with lab.quiesced():
            assert lab._engine.state == "PARKED"
    completion.result(LIMIT_S)
    assert np.asarray(z)[0] == 900_000


def test_cancel_ends_a_running_program_after_a_step(lab: gl.GrainManager) -> None:
    """Would catch: a program that nobody can stop."""
    grain = lab.grain()
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


def test_the_first_error_ends_the_run_and_is_named(lab: gl.GrainManager) -> None:
    """Would catch: steps run after a failed one, or an error that does not say which step."""
    grain = lab.grain()
    x, y = grain.allocate(8), grain.allocate(8)
    z = grain.allocate(1, dtype=np.int64)
    with grain.record() as program:
        grain.compute(add_to, outputs=[z], params={"a": 1})
        grain.compute(past_the_end, inputs=[x], outputs=[y], params={"at": 3})
        grain.compute(add_to, outputs=[z], params={"a": 1})
    with pytest.raises(OutOfBounds, match=r"iteration 0, step 1 \(Compute\).*past_the_end"):
        program.run(repeat=4).result(LIMIT_S)
    assert np.asarray(z)[0] == 1


def test_a_program_without_steps_ends(lab: gl.GrainManager) -> None:
    """Would catch: a worker that never comes back from an empty program."""
    grain = lab.grain()
    with grain.record() as program:
        pass
    assert program.run(repeat=1000).result(LIMIT_S).iterations == 1000
    assert program.run(repeat=0).result(LIMIT_S).iterations == 0


def test_a_dropped_program_is_replayed_all_the_same(lab: gl.GrainManager) -> None:
    """Would catch: program memory or handles given back while a held-back run needs them."""
    grain = lab.grain()
    z, program = counter(grain)
    with grain.borrow(z) as view:
        program.run(repeat=5)
        del program
        gc.collect()
        assert view[0] == 0
    assert grain.read(z).result(LIMIT_S)[0] == 5


def test_programs_give_their_memory_back(lab: gl.GrainManager) -> None:
    """Would catch: every re-run of a recording cell keeping its program."""
    grain = lab.grain()
    z, program = counter(grain)
    del program
    grain.barrier().result(LIMIT_S)
    before = lab.metrics().active_allocation_count
    for _ in range(10):
        with grain.record() as program:
            grain.ping()
        program.run().result(LIMIT_S)
        del program
    grain.barrier().result(LIMIT_S)
    assert lab.metrics().active_allocation_count == before == int(not z.released)


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


def test_the_manager_knows_what_runs(lab: gl.GrainManager) -> None:
    """Would catch: an ended, dropped or foreign run that is listed; a list that keeps memory."""
    grain = lab.grain("counting")
    _, program = counter(grain, steps=2)
    ended = [program.run(repeat=3) for _ in range(100)]
    assert ended[-1].result(LIMIT_S).iterations == 3
    assert not lab.runs
    run = program.run(repeat=2**40)
    queued = program.run(repeat=5)
    program.run(repeat=6)  # nobody holds it
    first, second = list(lab.runs)
    assert (first.grain, first.program, first.steps, first.repeat) == ("counting", None, 2, 2**40)
    assert (second.done, second.repeat) == (0, 5)
    end = time.monotonic() + LIMIT_S
    while not lab.runs[0].done:
        assert time.monotonic() < end
    grain.cancel()
    assert isinstance(queued.exception(LIMIT_S), Cancelled)
    assert run.done()
    assert not lab.runs
    assert len(lab._runs._runs) == 0


def test_progress_of_a_running_program(lab: gl.GrainManager) -> None:
    """Would catch: a bar that stands still, runs backwards, or shows another run's iterations."""
    grain = lab.grain()
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


def test_the_cure_for_a_large_write_names_a_kernel_that_there_is(lab: gl.GrainManager) -> None:
    """Would catch: advice that ends in UnknownKernel."""
    grain = lab.grain()
    x, z = grain.allocate(2048), grain.allocate(2048)
    with pytest.raises(InvalidOption, match="copy it with") as caught, grain.record():
        grain.write(x, np.ones(2048, np.float32))
    (name,) = re.findall(r"'(kernels/\w+)'", str(caught.value))
    grain.compute(name, inputs=[x], outputs=[z]).result(LIMIT_S)
