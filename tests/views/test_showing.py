"""Getting BokehJS to a page, without a page."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from gpures_lab.views import bokehjs
from gpures_lab.views.bokehjs import BokehJS, server_has_bokehjs
from gpures_lab.views.showing import MOST_TRIES, PATIENCE_S, RUN_S, Showing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

for package in ("bokeh", "ipywidgets"):
    pytest.importorskip(package)


class Display:
    """What `DisplayHandle` is called with."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def display(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.sizes.append(len(bundle["application/javascript"]))

    update = display


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Display:
    """Return what was displayed."""
    found = Display()
    monkeypatch.setattr("IPython.display.DisplayHandle", lambda: found)
    monkeypatch.setattr("IPython.display.display", lambda *_args, **_options: None)
    monkeypatch.setattr(BokehJS, "_on_the_page", False)
    return found


@pytest.fixture
def clock() -> list[float]:
    """Return the time, to be moved."""
    return [0.0]


@pytest.fixture
def showing(sent: Display, clock: list[float]) -> Iterator[Showing]:
    """Return a box around a widget that stands for the figures."""
    import ipywidgets as widgets

    made = Showing(lambda: widgets.HTML(_view_count=0), above=[], below=[], clock=lambda: clock[0])
    yield made
    made.close()


def look(showing: Showing, clock: list[float], *, seconds: float = 0.0) -> None:
    clock[0] += seconds
    showing.look()


def test_a_page_that_draws_is_sent_a_few_lines(
    showing: Showing, sent: Display, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: megabytes for a page that has BokehJS from its server."""
    monkeypatch.setattr(bokehjs, "server_has_bokehjs", lambda: True)
    showing.show("")
    showing.box._view_count = showing.figures._view_count = 1
    look(showing, clock)
    look(showing, clock, seconds=10 * PATIENCE_S)
    assert len(sent.sizes) == 1
    assert sent.sizes[0] < 2_000


def test_a_page_without_bokehjs_gets_it_once_and_the_figures_anew(
    showing: Showing, sent: Display, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: an empty cell, or a script that stays in the notebook."""
    monkeypatch.setattr(bokehjs, "server_has_bokehjs", lambda: None)
    showing.show("")
    first = showing.figures
    showing.box._view_count = 1  # the box is on the page, the figures are not
    look(showing, clock)
    assert len(sent.sizes) == 1
    look(showing, clock, seconds=PATIENCE_S)
    (script,) = showing._bokehjs.widget.outputs
    assert len(script["data"]["application/javascript"]) > 1_000_000
    assert showing.figures is first  # the page has not run it yet
    look(showing, clock, seconds=RUN_S)
    assert showing.figures is not first
    assert showing.figures in showing.box.children
    showing.figures._view_count = 1
    look(showing, clock)
    assert showing._bokehjs.widget.outputs == ()
    assert sent.sizes[-1] < 2_000
    assert "BokehJS came from the kernel" in showing._note.value
    look(showing, clock, seconds=10 * PATIENCE_S)
    assert len(sent.sizes) == 2


def test_a_page_that_never_draws_is_given_up(
    showing: Showing, sent: Display, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: a megabyte every two seconds for ever."""
    monkeypatch.setattr(bokehjs, "server_has_bokehjs", lambda: True)
    showing.show("")
    showing.box._view_count = 1
    scripts = 0
    for _ in range(50):
        look(showing, clock, seconds=PATIENCE_S)
        scripts += bool(showing._bokehjs.widget.outputs)
        showing._bokehjs.widget.outputs = ()
    assert scripts == MOST_TRIES


def test_a_server_without_the_address_is_sent_it_at_once(
    showing: Showing, sent: Display, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Would catch: figures that wait for the end of a cell that runs right after."""
    monkeypatch.setattr(bokehjs, "server_has_bokehjs", lambda: False)
    showing.show("")
    assert sent.sizes[0] > 1_000_000


@pytest.mark.parametrize(("status", "wanted"), [(403, True), (404, False), (200, True)])
def test_the_server_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, wanted: bool
) -> None:
    """Would catch: a server that refuses strangers taken for one that lacks the extension."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/base/gpures_lab/bokeh"
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its own name
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/base/"
        (tmp_path / "jpserver-4242.json").write_text(json.dumps({"url": url}), encoding="utf-8")
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
        monkeypatch.setenv("JPY_PARENT_PID", "4242")
        assert server_has_bokehjs() is wanted
        thread.join(30)


def test_a_server_that_cannot_be_asked_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    for parent in ("", "nonsense", "4242"):
        monkeypatch.setenv("JPY_PARENT_PID", parent)
        assert server_has_bokehjs() is None
    (tmp_path / "jpserver-4242.json").write_text("half", encoding="utf-8")
    assert server_has_bokehjs() is None
