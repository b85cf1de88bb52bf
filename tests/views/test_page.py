"""The figures' document: what it holds, how it grows, what it escapes."""

from __future__ import annotations

import math
import threading
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest

import gpures_lab as gl
from gpures_lab.metrics.histogram import BUCKETS, bucket_of, upper_bound_ns
from gpures_lab.views import Page, Reader, save_report
from gpures_lab.views.grains import grains_html
from gpures_lab.views.palette import palette_of
from gpures_lab.views.readings import COLUMNS, MOST_GRAINS

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("bokeh")

HOSTILE = "<script>alert('x')</script>"


class Addresses(HTMLParser):
    """Every address that the page itself would load; what scripts contain is no tag."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in {"src", "href"}]


def filled(lab: gl.GrainManager, grains: int) -> tuple[Page, Reader]:
    for number in range(grains):
        lab.grain(f"grain {number}").ping().result()
    return Page(lab.driver.label), Reader(lab)


@pytest.mark.parametrize("grains", [0, 1, 500])
def test_a_document_is_built_for_any_number_of_grains(lab: gl.GrainManager, grains: int) -> None:
    """Would catch: a figure that fails without data, and a table that grows without bound."""
    from bokeh.document import Document
    from bokeh.embed.util import standalone_docs_json_and_render_items

    page, reader = filled(lab, grains)
    page.show(reader.read())
    page.show(reader.read())
    document = Document()
    document.add_root(page.root)
    assert standalone_docs_json_and_render_items([document])[0]
    assert len(page.source.data["time"]) == 2
    table = grains_html(reader.read(), lab.driver.label, palette_of("auto"))
    assert table.count("<tr>") == 1 + min(grains, MOST_GRAINS)
    assert f"{grains:,}" in table


def test_every_title_says_on_which_driver_it_ran(lab: gl.GrainManager) -> None:
    """Would catch: figures of CPU threads taken for those of a GPU."""
    page, _ = filled(lab, 1)
    assert [lab.driver.label in chart.title.text for chart in page.charts] == [True] * 6


def test_the_history_is_bounded(lab: gl.GrainManager) -> None:
    """Would catch: a dashboard left open over a night that fills the browser's memory."""
    page, reader = Page(lab.driver.label, history=3), Reader(lab)
    for _ in range(5):
        page.show(reader.read())
    assert {len(page.source.data[name]) for name in COLUMNS} == {3}


def test_percentiles_and_rate_are_of_the_window(
    lab: gl.GrainManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: percentiles since the start, in which an hour of quiet hides today's stall."""
    quiet = lab._snapshot()
    quiet |= {"uptime_ns": 0, "now_ns": 0, "messages_processed": 1_000_000}
    for stage in ("queue", "service", "round_trip"):
        counts = np.zeros(BUCKETS, np.uint64)
        counts[bucket_of(100)] = 1_000_000
        quiet[f"{stage}_counts"] = counts
    stalled = quiet | {"uptime_ns": 2 * 10**9, "now_ns": 2 * 10**9, "messages_processed": 1_000_010}
    service = np.zeros(BUCKETS, np.uint64)
    service[[bucket_of(100), bucket_of(10**9)]] = 1_000_000, 10
    stalled["service_counts"] = service
    given = iter([quiet, stalled])
    monkeypatch.setattr(lab, "_snapshot", lambda: next(given))
    reader = Reader(lab, window_s=300)
    reader.read()
    row = reader.read().row
    assert row["rate"] == 5
    assert row["service_p50"] == upper_bound_ns(bucket_of(10**9))
    assert math.isnan(row["queue_p50"])


@pytest.mark.parametrize("window_s", [0, -1, 301, float("nan")])
def test_a_window_out_of_range_is_refused_with_the_range(
    lab: gl.GrainManager, window_s: float
) -> None:
    """Would catch: a window of nothing, whose rate would be a division by zero."""
    with pytest.raises(gl.InvalidOption, match="0.1 to 300 seconds"):
        Reader(lab, window_s=window_s)


def test_the_grain_that_is_looked_at_has_its_own_lines(lab: gl.GrainManager) -> None:
    """Would catch: a jump in a grain's rate made of another grain's count."""
    reader = Reader(lab)
    lab.grain("a").ping().result()
    for _ in range(50):
        lab.grain("b").ping().result()
    reader.grain = "b"
    reader.read()
    reader.grain = "a"
    assert reader.read().row["grain_rate"] != reader.read().row["grain_rate"]  # NaN, then a number
    assert reader.read().row["grain_rate"] == 0


def test_two_threads_that_stream_never_corrupt_the_document(lab: gl.GrainManager) -> None:
    """Would catch: a stream outside the lock; Bokeh mis-frames patches of two threads at once."""
    from bokeh.document import Document

    page = Page(lab.driver.label, history=20_000)
    reading = Reader(lab).read()
    failed: list[BaseException] = []
    inside: list[bool] = []
    document = Document()
    document.add_root(page.root)
    # What a front end is sent is made in this callback: it must run under the lock.
    document.on_change(lambda event: inside.append(page.lock._is_owned()))

    def stream() -> None:
        try:
            for _ in range(200):
                page.show(reading)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=stream) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failed
    assert len(inside) >= 400
    assert all(inside)
    assert {len(page.source.data[name]) for name in COLUMNS} == {400}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_report_is_one_file_that_runs_no_users_text(
    lab: gl.GrainManager, tmp_path: Path, theme: str
) -> None:
    """Would catch: a report that needs the network, or a grain key that becomes a script."""
    lab.grain(HOSTILE).ping().result()
    reader = Reader(lab)
    readings = [reader.read() for _ in range(3)]
    html = save_report(tmp_path / "report.html", readings, lab.driver.label, theme=theme).read_text(
        encoding="utf-8"
    )
    assert HOSTILE not in html
    assert "alert(" in html  # the key is there, as data
    addresses = Addresses()
    addresses.feed(html)
    assert addresses.found == []


def test_an_unknown_theme_is_refused(lab: gl.GrainManager) -> None:
    """Would catch: a typing mistake that gives black on black."""
    with pytest.raises(gl.InvalidOption, match="'light' or 'dark'"):
        Page(lab.driver.label, theme="solarized")
