"""Failures that nobody looked at: counted when they are answered, until somebody looks."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

import gpures_lab as gl
from gpures_lab.grain.unseen import unseen_text
from tests.grain.engines import LIMIT_S

if TYPE_CHECKING:
    from collections.abc import Callable


@gl.kernel
def outside(i, x):  # type: ignore[no-untyped-def]
    x[i + 1] = 1


def failed(grain: gl.Grain) -> gl.Completion:
    """Return a compute that has failed, and at which nobody has looked."""
    x = grain.handles.get("x") or grain.allocate(4, name="x")
    completion = grain.compute(outside, outputs=[x])
    grain.ping().result(timeout=LIMIT_S)
    return completion


def test_one_whose_completion_is_held_counts_until_it_is_looked_at(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A notebook's variable that keeps a failure silent for ever."""
    lab = make_lab()
    held = failed(lab.grain("k"))
    assert lab.metrics().unobserved_failures == 1
    with pytest.raises(gl.OutOfBounds):
        held.result()
    assert lab.metrics().unobserved_failures == 0
    assert held.exception() is not None  # a second look takes nothing back
    assert lab.metrics().unobserved_failures == 0
    assert unseen_text(lab) == ""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lab.close()


def test_the_line_names_request_grain_and_cause_once(
    make_lab: Callable[..., gl.GrainManager],
) -> None:
    """A line that says a number of the protocol, or is said again by the next cell."""
    lab = make_lab()
    first, second = failed(lab.grain("k")), failed(lab.grain("other"))
    assert unseen_text(lab).startswith(
        "2 messages failed and nobody looked at their completions: grain 'k', OutOfBounds: "
        f"request {first.request} (Compute): kernel outside used flat index 4 of array x"
    )
    assert unseen_text(lab) == ""
    assert lab.metrics().unobserved_failures == 2
    assert second.exception() is not None  # looked at after it was said
    assert lab.metrics().unobserved_failures == 1
    third = failed(lab.grain("other"))
    line = unseen_text(lab)
    assert line.startswith("1 message failed and nobody looked at its completion: grain 'other'")
    assert f"request {third.request} " in line


def test_a_flood_is_counted_and_its_first_named(make_lab: Callable[..., gl.GrainManager]) -> None:
    """A list of failures that grows without end, or a count that stops where the list does."""
    lab = make_lab()
    grain = lab.grain("k")
    x = grain.allocate(4)
    for _ in range(200):
        grain.compute(outside, outputs=[x])
    grain.ping().result(timeout=LIMIT_S)
    line = unseen_text(lab)
    assert line.startswith("200 messages failed")
    assert "196 more" in line


@pytest.mark.parametrize("how", ["program", "batch"])
def test_a_run_or_batch_that_nobody_holds_says_where(
    make_lab: Callable[..., gl.GrainManager], how: str
) -> None:
    """An error in the making of the line, or a kernel's name for a number of the protocol."""
    lab = make_lab()
    grain = lab.grain("k")
    x = grain.allocate(4, name="x")
    if how == "program":
        with grain.record() as program:
            grain.ping()
            grain.compute(outside, outputs=[x])
        program.run()
        del program
    else:
        batch = gl.messages(2, op="compute", kernel=outside)
        batch["handles"][:, 0] = int(x)
        grain.submit(batch)
    grain.ping().result(timeout=LIMIT_S)
    line = unseen_text(lab)
    expected = "step 1: kernel of that step used" if how == "program" else "kernel outside used"
    assert expected in line
    assert "flat index 4" in line


def test_what_the_host_did_for_a_grain_says_its_real_cause(
    make_lab: Callable[..., gl.GrainManager], tmp_path: object
) -> None:
    """``Checkpoint: HOST_FAILED`` and not a word of the conflict behind it."""
    urls = {"state_url": f"sqlite:///{tmp_path}/s.sqlite", "blobs_url": f"{tmp_path}/blobs"}
    one, two = make_lab(**urls), make_lab(**urls)
    assert one.grain("k").checkpoint().result(LIMIT_S) == 1
    two.grain("k").checkpoint()
    two._saver.drain()
    line = unseen_text(two)
    assert "grain 'k', StateConflict: request" in line
    assert "(Checkpoint): " in line
    assert "replace=True" in line


@pytest.mark.parametrize("ending", ["checkpoint", "close"])
def test_checkpoint_and_close_say_it_while_the_completion_is_held(
    make_lab: Callable[..., gl.GrainManager], ending: str, tmp_path: object
) -> None:
    """The rule that held for dropped objects only."""
    lab = make_lab(state_url=f"sqlite:///{tmp_path}/s.sqlite", blobs_url=f"{tmp_path}/blobs")
    grain = lab.grain("k")
    held = failed(grain)
    end = {"close": lab.close, "checkpoint": lambda: grain.checkpoint().result(LIMIT_S)}[ending]
    with pytest.warns(RuntimeWarning, match=r"^1 message failed.*grain 'k', OutOfBounds"):
        end()
    assert isinstance(held.exception(), gl.OutOfBounds)
