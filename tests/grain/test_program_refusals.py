"""What cannot be recorded or run, and what each refusal says."""

from __future__ import annotations

import re

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.errors import (
    DtypeMismatch,
    InvalidOption,
    OutOfBounds,
    StaleHandle,
)
from tests.grain.counting import add_to, counter
from tests.grain.engines import LIMIT_S


@gl.kernel
def past_the_end(i, x, z, at):  # type: ignore[no-untyped-def]
    z[i] = x[i + at]


def test_a_grain_of_another_ring_is_refused(brief: gl.GrainManager) -> None:
    """Would catch: a program that touches what another worker may be changing."""
    grain, other = brief.grain(), brief.grain("hot", placement="dedicated")
    with grain.record() as program, pytest.raises(InvalidOption, match="another ring"):
        other.ping()
    assert len(program) == 0
    z, hot = counter(other)
    hot.run(repeat=4).result(LIMIT_S)
    assert np.asarray(z)[0] == 4


def test_what_a_program_cannot_hold_is_refused_and_the_rest_recorded(
    brief: gl.GrainManager,
) -> None:
    """Would catch: an allocation made, or data moved, in the middle of a recording."""
    grain = brief.grain()
    z = grain.allocate(2000)
    with grain.record() as program:
        for call in (
            lambda: grain.allocate(4),
            lambda: grain.read(z),
            lambda: grain.release(z),
            lambda: grain.write(z, np.ones(2000, np.float32)),
            lambda: grain.record().__enter__(),
            lambda: program.run(),
            lambda: grain.borrow(z),
            grain.checkpoint,
            grain.deactivate,
            grain.discard,
        ):
            with pytest.raises(InvalidOption, match="record"):
                call()
        grain.write(z, 3.0)
    assert len(program) == 1
    assert not np.asarray(z).any()
    assert not grain.durable
    program.run().result(LIMIT_S)
    assert np.asarray(z).tolist() == [3] * 2000


def test_an_error_inside_the_block_ends_the_recording(brief: gl.GrainManager) -> None:
    """Would catch: a thread that goes on recording after its block has ended."""
    grain = brief.grain()
    program = grain.record()
    with pytest.raises(ZeroDivisionError), program:
        grain.ping()
        _ = 1 / 0
    grain.ping().result(LIMIT_S)
    with pytest.raises(InvalidOption, match="broken"):
        program.run()


def test_a_released_handle_fails_the_run_before_anything_runs(brief: gl.GrainManager) -> None:
    """Would catch: half a program run on memory that is another allocation's by now."""
    grain = brief.grain()
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
def test_bad_options_are_refused(brief: gl.GrainManager, options: dict[str, object]) -> None:
    """Would catch: an endless or empty run from an option out of range."""
    _, program = counter(brief.grain())
    with pytest.raises(InvalidOption):
        program.run(**options)


def test_a_parameter_keeps_its_recorded_type(brief: gl.GrainManager) -> None:
    """Would catch: a float's bits handed to a kernel compiled for an integer."""
    _, program = counter(brief.grain())
    with pytest.raises(DtypeMismatch, match="recorded as 1"):
        program.run(params={"a": 0.5})


def test_until_must_be_one_real_element(brief: gl.GrainManager) -> None:
    """Would catch: the first of many elements taken for the answer."""
    grain = brief.grain()
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
    brief: gl.GrainManager, options: dict[str, object], said: str
) -> None:
    """Would catch: an AttributeError or TypeError from inside the package."""
    _, program = counter(brief.grain())
    with pytest.raises(InvalidOption, match=said):
        program.run(**options)


def test_the_first_error_ends_the_run_and_is_named(brief: gl.GrainManager) -> None:
    """Would catch: steps run after a failed one, or an error that does not say which step."""
    grain = brief.grain()
    x, y = grain.allocate(8), grain.allocate(8)
    z = grain.allocate(1, dtype=np.int64)
    with grain.record() as program:
        grain.compute(add_to, outputs=[z], params={"a": 1})
        grain.compute(past_the_end, inputs=[x], outputs=[y], params={"at": 3})
        grain.compute(add_to, outputs=[z], params={"a": 1})
    with pytest.raises(OutOfBounds, match=r"iteration 0, step 1 \(Compute\).*past_the_end"):
        program.run(repeat=4).result(LIMIT_S)
    assert np.asarray(z)[0] == 1


def test_the_cure_for_a_large_write_names_a_kernel_that_there_is(brief: gl.GrainManager) -> None:
    """Would catch: advice that ends in UnknownKernel."""
    grain = brief.grain()
    x, z = grain.allocate(2048), grain.allocate(2048)
    with pytest.raises(InvalidOption, match="copy it with") as caught, grain.record():
        grain.write(x, np.ones(2048, np.float32))
    (name,) = re.findall(r"'(kernels/\w+)'", str(caught.value))
    grain.compute(name, inputs=[x], outputs=[z]).result(LIMIT_S)
