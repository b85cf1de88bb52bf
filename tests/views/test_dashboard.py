"""The dashboard: its thread, its comms, its limits, and what it says when it cannot show."""

from __future__ import annotations

import importlib.util
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from traitlets import TraitError

import gpures_lab as gl
from gpures_lab.views.live import Dashboard
from gpures_lab.views.readings import MOST_GRAINS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

for package in ("bokeh", "ipywidgets", "jupyter_bokeh"):
    pytest.importorskip(package)

LIMIT_S = 30
HOSTILE = "<img src=x onerror=alert(1)>"


def until(true: Callable[[], bool]) -> None:
    """Wait for what a thread does, within a limit."""
    deadline = time.monotonic() + LIMIT_S
    gate = threading.Event()
    while not true():
        assert time.monotonic() < deadline
        gate.wait(0.005)


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "gpures_lab dashboard"]


@pytest.fixture
def shown(lab: gl.GrainManager) -> Iterator[Dashboard]:
    with Dashboard(lab, rate_hz=10) as made:
        yield made


def test_it_moves_by_itself(shown: Dashboard) -> None:
    """Would catch: a thread that was never started, or that died with its first tick."""
    until(lambda: len(shown._page.source.data["time"]) > 3)
    assert shown._ticker.last_error is None


def test_nothing_is_left_after_close(lab: gl.GrainManager) -> None:
    """Would catch: a thread and its comms that outlive every dashboard of a long session."""
    from ipywidgets.widgets.widget import _instances

    before = set(_instances)
    made = Dashboard(lab, rate_hz=10)
    models = [made._showing.figures.model_id, made._showing.box.model_id]
    made.close()
    made.close()
    assert threads() == []
    assert not set(models) & set(_instances)
    assert len(set(_instances) - before) <= 30  # layouts and styles die with their widgets
    assert repr(made).startswith("<Dashboard closed; stale since ")


def test_a_new_dashboard_closes_the_one_it_replaces(lab: gl.GrainManager) -> None:
    """Would catch: a thread more each time that the cell is run."""
    first = gl.dashboard(lab)
    with gl.dashboard(lab) as second:
        assert first.closed
        assert not second.closed
        assert len(threads()) == 1


@pytest.mark.parametrize("rate_hz", [0, -1, 10_000, float("nan")])
def test_a_rate_out_of_range_is_refused_with_the_range(
    lab: gl.GrainManager, rate_hz: float
) -> None:
    """Would catch: a division by zero, and a front end flooded until it stops answering."""
    with pytest.raises(gl.InvalidOption, match="0.1 to 10 updates a second"):
        gl.dashboard(lab, rate_hz=rate_hz)
    assert threads() == []


def test_after_the_manager_closed_it_says_since_when(lab: gl.GrainManager) -> None:
    """Would catch: figures that stand still and look live."""
    with Dashboard(lab, rate_hz=10) as made:
        lab.close()
        until(lambda: not made._ticker.running)
        taken_at = made._readings[-1].taken_at.astimezone()
        assert made._controls.status.value == f"stale since {taken_at:%H:%M:%S}"
        assert made._controls.park.disabled


def test_a_closed_manager_is_refused(lab: gl.GrainManager) -> None:
    """Would catch: an empty dashboard for a manager that will never move again."""
    lab.close()
    with pytest.raises(gl.RingClosed):
        Dashboard(lab)


def test_the_controls_reach_the_engine(lab: gl.GrainManager, shown: Dashboard) -> None:
    """Would catch: a button wired to nothing."""
    grain = lab.grain("a")
    grain.write(grain.allocate(16), 1).result()
    controls = shown._controls
    until(lambda: "a" in dict(controls.grain.options))
    assert controls.release.disabled

    def choose() -> bool:
        try:
            controls.grain.value = "a"
        except TraitError:  # a tick is half-way with the options
            return False
        return True

    until(choose)
    until(lambda: shown._page.source.data["grain_pending"][-1] == 0)
    controls.release.click()
    grain.barrier().result()
    assert grain.metrics().active_allocation_count == 0
    controls.park.click()
    assert lab.metrics().engine_state == "PARKED"
    controls.window.value = 30.0
    assert shown._reader.window_s == 30
    controls.rate.value = 2.0
    assert shown._ticker.rate_hz == 2
    controls.pause.value = True
    assert shown._ticker.paused


def test_a_grains_key_is_never_html(lab: gl.GrainManager) -> None:
    """Would catch: a key that runs as a script in the status line or the caption."""
    lab.grain(HOSTILE).ping().result()
    with Dashboard(lab, rate_hz=10) as made:
        made._controls.say(HOSTILE)
        assert "<" not in made._controls.status.value
        until(lambda: "onerror" in made._table.value)
        assert HOSTILE not in made._table.value


def test_a_terminal_gets_text(shown: Dashboard) -> None:
    """Would catch: an empty cell, or nothing at all, where widgets cannot be shown."""
    assert ".save('report.html')" in repr(shown)
    assert "live figures need a notebook" in repr(shown)


def test_it_prints_nothing(shown: Dashboard, capfd: pytest.CaptureFixture[str]) -> None:
    """Would catch: a line under whatever cell the user runs next."""

    def fail() -> Any:
        raise ValueError("a snapshot failed")

    shown._reader.read = fail  # type: ignore[assignment, method-assign]
    until(lambda: shown._ticker.last_error is not None)
    assert shown._ticker.running
    assert capfd.readouterr() == ("", "")


def test_a_report_can_be_saved_after_everything_closed(
    lab: gl.GrainManager, tmp_path: Path
) -> None:
    """Would catch: figures lost with the manager they are about."""
    with Dashboard(lab) as made:
        lab.close()
    assert "Memory pool on" in made.save(tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_missing_package_names_the_extra(
    lab: gl.GrainManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: "No module named 'jupyter_bokeh'" without a word on what to do."""
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "gpures_lab.views.extra.find_spec",
        lambda name: None if name == "jupyter_bokeh" else real(name),
    )
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'gpures_lab\[jupyter\]'"):
        gl.dashboard(lab)


def test_a_running_program_has_a_bar(lab: gl.GrainManager, tmp_path: Path) -> None:
    """Would catch: a long run that looks like nothing happens; a name that is markup."""
    grain = lab.grain(HOSTILE)
    z = grain.allocate(1)
    with grain.record(name=HOSTILE) as program:
        grain.compute("kernels/Saxpy", inputs=[z, z], outputs=[z], params={"a": 0.5})
    with Dashboard(lab, rate_hz=10) as shown:
        assert "progressbar" not in shown._table.value
        run = program.run(repeat=2**40)
        until(lambda: "progressbar" in shown._table.value)
        assert f"of {2**40:,} iterations" in shown._table.value
        assert HOSTILE not in shown._table.value
        assert "progressbar" in shown.save(tmp_path / "report.html").read_text()
        grain.cancel()
        run.exception(LIMIT_S)
        until(lambda: "progressbar" not in shown._table.value)


def test_figures_that_cannot_be_drawn_are_said_to_be_stale(shown: Dashboard) -> None:
    """Would catch: a status line that stays PARKED over figures that no longer move."""
    whole = shown._page.show

    def fail(*_given: object) -> Any:
        raise ValueError("the figure <is> gone")

    until(lambda: len(shown._readings) > 1)
    shown._page.show = fail  # type: ignore[assignment, method-assign]
    until(lambda: "stale since" in shown._controls.status.value)
    assert "ValueError: the figure &lt;is&gt; gone" in shown._controls.status.value
    assert shown.status.startswith("stale since ")
    assert "stale since" in repr(shown)
    shown._page.show = whole  # type: ignore[method-assign]
    until(lambda: "stale" not in shown._controls.status.value)


def test_of_many_grains_the_busiest_can_be_chosen(lab: gl.GrainManager) -> None:
    """Would catch: a list of 20,000 keys, sent again whenever a grain is added."""
    for number in range(200):
        lab.grain(f"idle-{number:03}")
    lab.grain("zz").ping().result()
    with Dashboard(lab, rate_hz=10) as made:
        controls = made._controls
        until(lambda: len(controls.grain.options) > 1)
        assert len(controls.grain.options) == MOST_GRAINS + 1
        label, value = controls.grain.options[0]
        assert (label, value) == ("all 201 grains (the 50 busiest are listed)", "")
        assert "zz" in dict(controls.grain.options)
        controls.grain.value = "zz"
        for number in range(MOST_GRAINS):
            lab.grain(f"idle-{number:03}").barrier()
            lab.grain(f"idle-{number:03}").barrier().result()
        until(lambda: "idle-049" in dict(controls.grain.options))
        # New options choose the first for a moment.
        until(lambda: controls.grain.value == "zz")
        assert "zz" in dict(controls.grain.options)
        controls.grain.value = ""
        until(lambda: "zz" not in dict(controls.grain.options))


def test_a_report_that_cannot_be_written_is_refused_first(
    shown: Dashboard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: a second of work, and 28 lines of someone else's traceback."""

    def drawn(*_given: object, **_named: object) -> Any:
        raise AssertionError("it was drawn")

    monkeypatch.setattr("gpures_lab.views.report.Page", drawn)
    for path, why in ((tmp_path / "no" / "r.html", "there is no folder"), (tmp_path, "a folder")):
        with pytest.raises(gl.InvalidOption, match=why):
            shown.save(path)
