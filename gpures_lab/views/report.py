"""One self-contained HTML file with the figures as they stand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gpures_lab.errors import InvalidOption
from gpures_lab.views.grains import grains_html
from gpures_lab.views.page import Page
from gpures_lab.views.palette import palette_of
from gpures_lab.views.runs import runs_html

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from gpures_lab.metrics import TracedMessage
    from gpures_lab.views.readings import Reading

__all__ = ["save_report"]


def save_report(
    path: str | PathLike[str],
    readings: Sequence[Reading],
    driver: str,
    *,
    messages: Sequence[TracedMessage] = (),
    theme: str = "light",
) -> Path:
    """Write the figures of ``readings`` to one file that needs no network and no Python.

    Parameters
    ----------
    path
        The file; replaced if it exists. Its folder must exist.
    readings
        What is drawn, oldest first.
    messages
        What the timeline shows.
    driver
        What the titles say the figures ran on.
    theme
        ``"light"``, ``"dark"`` or ``"auto"``.

    Returns
    -------
    Path
        Where it was written.

    Raises
    ------
    InvalidOption
        The file cannot be written.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise InvalidOption(f"{target}: there is no folder {target.parent}", path=str(target))
    if target.is_dir():
        raise InvalidOption(f"{target} is a folder: name a file, as report.html", path=str(target))
    page = Page(driver, theme=theme, history=max(1, len(readings)))
    from bokeh.embed import file_html
    from bokeh.resources import INLINE

    page.show_all(readings)
    page.show_messages(messages)
    html = file_html(page.root, resources=INLINE, title="gpures_lab report")
    palette = palette_of(theme)
    style = f"<style>body{{background:{palette.background};font-family:sans-serif}}</style>"
    html = html.replace("<head>", f"<head>{style}", 1)
    if readings:
        before, end, after = html.rpartition("</body>")
        last = readings[-1]
        tables = runs_html(last.runs, palette) + grains_html(last, driver, palette)
        html = before + tables + end + after
    try:
        target.write_text(html, encoding="utf-8")
    except OSError as reason:
        raise InvalidOption(f"{target} cannot be written: {reason.strerror}") from reason
    return target
