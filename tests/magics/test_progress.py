"""Bars: only for what is long, never past the end, and no error is lost behind them."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.magics import progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.magics.shells import Notebook


class Bar:
    """What `tqdm` is called with."""

    made: list[Bar]

    def __init__(self, *, total: int | None, desc: str, leave: bool, mininterval: float) -> None:
        self.total, self.desc, self.n, self.closed = total, desc, 0, False
        Bar.made.append(self)

    def update(self, count: int) -> None:
        assert count >= 0
        self.n += count

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Bar]]:
    """Return the bars made, where everything counts as long."""
    Bar.made = []
    monkeypatch.setattr(progress, "DELAY_S", 0.0)
    monkeypatch.setattr(progress, "LOOK_S", 0.001)
    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    yield Bar.made
    assert all(each.closed for each in Bar.made)


class Running:
    """A completion that is done after some looks, and says how far it is."""

    def __init__(self, *progress: int) -> None:
        self._left = list(progress)

    def result(self, timeout: float | None = None) -> str:
        assert timeout is not None
        if len(self._left) > 1:
            raise TimeoutError
        return "done"

    def progress(self) -> int:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]


def test_a_program_counts_its_iterations(bars: list[Bar]) -> None:
    """Would catch: a bar that stays at 0, runs past its end, or never goes away."""
    assert progress.waited(Running(10, 40, 100), "step", 100) == "done"
    (bar,) = bars
    assert (bar.desc, bar.total, bar.n) == ("step", 100, 100)


def test_a_run_of_a_real_program_is_waited_for(notebook: Notebook, bars: list[Bar]) -> None:
    """Would catch: a bar for another program, or a result that is thrown away."""
    notebook("%grain_alloc z 1\n%grain_alloc x 1 --fill 1")
    notebook(
        "%%grain_program step\n"
        'grain.compute("kernels/Saxpy", inputs=[x, z], outputs=[z], params={"a": 1.0})'
    )
    assert notebook("%grain_run step --repeat 3000").iterations == 3000
    assert {(bar.desc, bar.total) for bar in bars} <= {("step", 3000)}


def test_repeats_are_counted_and_bounded(notebook: Notebook, bars: list[Bar]) -> None:
    """Would catch: a completion kept for each of a million calls; a result that is not the last."""
    notebook("%grain_alloc z 1")
    notebook("%%grain_compute --repeat 3000 --name count\nz[i] += 1")
    assert np.asarray(notebook.names["z"])[0] == 3000
    (bar,) = bars
    assert (bar.desc, bar.total) == ("count", 3000)
    assert 0 < bar.n <= 3000


def test_what_is_quick_shows_no_bar(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Would catch: a widget under every cell."""
    monkeypatch.setattr("tqdm.auto.tqdm", None)  # calling it would fail
    notebook("%grain_alloc z 1")
    notebook("%%grain_compute --repeat 3\nz[i] += 1")
    notebook("%grain_checkpoint --replace")


def test_an_error_among_repeats_is_raised_once_and_the_rest_is_looked_at(
    notebook: Notebook, bars: list[Bar]
) -> None:
    """Would catch: thousands of failures that `close` reports as looked at by nobody."""
    notebook("%grain_alloc z 4\n%grain_alloc x 4\nshift = 9")
    error: Any = notebook.refused("%%grain_compute --repeat 2000\nz[i] = x[i + shift]")
    assert isinstance(error, gl.OutOfBounds)
    error.__traceback__ = error.__context__ = None  # its frames hold the completions
    del error
    notebook("import sys\nsys.last_value = sys.last_traceback = sys.last_exc = None")
    gc.collect()
    gl.manager().grain().barrier().result()
    assert gl.manager().metrics().unobserved_failures == 0
