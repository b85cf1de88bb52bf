"""What the benchmark prints, without running it: tables, verdicts, and who was not measured."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.benchmarks.duel import OURS, Contender, Duel, duel, duration
from tests.benchmarks.row import Row
from tests.benchmarks.suites import SUITES, modules
from tests.benchmarks.table import line, markdown

if TYPE_CHECKING:
    from pathlib import Path

FOUND: dict[str, Any] = {
    "driver": "host (CPU threads)",
    "processor": "a processor",
    "cores": 2,
    "load_average_1_min": 0.5,
    "python": "3.11",
    "packages": {"numpy": "2.4.6", "numba": None},
    "date": "2026-01-01 00:00 UTC",
}
ROWS = [
    Row(what="a|b", measured="1 ns", wanted="<= 2 ns", met=True, winner="NumPy", factor=1.5),
    Row(what="lost", measured="3 ns", wanted="<= 2 ns", met=False),
    Row(what="told", measured="4 ns", figures={"missing": {"Ray": "not installed"}}),
]


def made(**seconds: list[float]) -> Duel:
    return Duel({name: np.array(spans) for name, spans in seconds.items()})


def test_the_verdict_names_who_was_fastest_and_by_how_much() -> None:
    """Would catch: a factor over the slowest, or our own when another won."""
    assert made(gpures_lab=[2.0, 3.0], NumPy=[4.0, 6.0], Numba=[8.0, 8.0]).verdict() == (OURS, 2.0)
    assert made(gpures_lab=[6.0, 9.0], NumPy=[2.0, 4.0], Numba=[3.0, 3.0]).verdict() == (
        "NumPy",
        3.0,
    )
    both = Duel(
        {OURS: np.array([4.0]), f"{OURS}, pipelined": np.array([1.0]), "NumPy": np.array([3.0])}
    )
    assert both.verdict() == (f"{OURS}, pipelined", 3.0)


def test_ratios_are_of_bests_and_of_repeats() -> None:
    """Would catch: a ratio turned round."""
    both = made(gpures_lab=[1.0, 4.0, 2.0], NumPy=[2.0, 2.0, 2.0])
    assert (both.ratio("NumPy"), both.median_ratio("NumPy")) == (0.5, 1.0)


def test_a_wrong_result_ends_the_duel() -> None:
    """Would catch: a contender that is timed doing nothing."""
    z = np.zeros(3)

    def check() -> None:
        np.testing.assert_array_equal(z, 1)

    lazy = Contender("lazy", lambda: None, lambda: z.fill(np.nan), check)
    honest = Contender(OURS, lambda: z.fill(1), lambda: z.fill(np.nan), check)
    assert duel([honest], repeats=2).best_s() > 0
    with pytest.raises(AssertionError):
        duel([honest, lazy], repeats=2)


def test_the_table_keeps_what_was_lost_and_says_what_is_missing() -> None:
    """Would catch: rows left out, a pipe that ends a cell, a rival silently skipped."""
    text = markdown({"ring": ROWS}, FOUND)
    assert line(ROWS[0]) == "| a\\|b | 1 ns | NumPy, 1.5 x | <= 2 ns | yes |"
    assert "| lost | 3 ns | – | <= 2 ns | NO |" in text
    assert "1 of 2 promises kept." in text
    assert "numba: not installed; Ray: not installed" in text


def test_every_suite_is_there_and_runs_its_files_once() -> None:
    """Would catch: a file that was moved and is named no more."""
    found = list(modules(SUITES))
    assert {suite for suite, _ in found} == set(SUITES)
    assert all(callable(module.run) for _, module in found)
    names = [module.__name__ for _, module in found]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("seconds", "text"), [(7.12e-8, "71.2 ns"), (9.999e-7, "1 us"), (0.0104, "10.4 ms"), (3, "3 s")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    """Would catch: 1e+03 ns."""
    assert duration(seconds) == text


def test_the_page_holds_plots_and_asks_for_nothing(tmp_path: Path) -> None:
    """Would catch: a page that is empty without a network."""
    from tests.benchmarks.latency import QUANTILES
    from tests.benchmarks.plots import write_html

    spans = np.geomspace(1e-7, 1e-5, QUANTILES.size).tolist()
    figures = {
        "latency": {"gpures_lab": {"quantiles_s": spans}},
        "curve": {"x": [64, 256], "floats_per_s": {"NumPy": [1e9, 2e9]}},
        "map": {"elements": [16, 64], "lengths": [1, 10], "ratios": [[0.5, 2.0], [1.0, 8.0]]},
    }
    page = tmp_path / "page.html"
    write_html(page, {"ring": [*ROWS, Row(what="plots", measured="", figures=figures)]}, FOUND)
    text = page.read_text(encoding="utf-8")
    assert text.count('class="plot"') == 3
    assert not re.search(r"<script[^>]* src=", text)
    assert "a|b" in text
