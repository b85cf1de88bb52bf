"""BokehJS for the page: from the server where it has it, else sent by the kernel, once a page.

A figure's widget needs `window.Bokeh` when its view is made. What goes out before it is a script of
a few lines, which fetches BokehJS from the server part of our extension. It stays in the notebook,
so that a page that is loaded again does the same. Where the server has none, the kernel sends the
script itself (1.2 MB), and takes it out of the output again once the figures were seen.
"""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from functools import cache
from pathlib import Path
from typing import Any, Final

__all__ = ["BokehJS", "server_has_bokehjs", "version"]

PROBE_S: Final = 0.3
NOT_FOUND: Final = 404

# Synchronous, because the widget that follows is made in the same turn.
_FETCH: Final = """
const page = document.getElementById('jupyter-config-data');
let root = '/';
try { root = JSON.parse(page.textContent).baseUrl || '/'; } catch { /* another front end */ }
try {
  const request = new XMLHttpRequest();
  request.open('GET', `${root}gpures_lab/bokeh/${version}/bokeh.min.js`, false);
  request.send();
  if (request.status === 200) { run(request.responseText); }
} catch { /* the kernel finds out, and sends its own */ }
"""

_SCRIPT: Final = """(() => {
const version = %s;
if (window.Bokeh && window.Bokeh.version === version) { return; }
const run = text => {
  const script = document.createElement('script');
  script.textContent = text;
  document.head.append(script);
};
%s
})();"""


class BokehJS:
    """What brings BokehJS to the pages of one dashboard.

    Attributes
    ----------
    widget
        Stands in the dashboard's box: through it a page is reached that was loaded again, where
        outputs are out of the kernel's reach.
    """

    _on_the_page = False  # as far as this kernel knows; a page that was loaded again has lost it

    def __init__(self) -> None:
        import ipywidgets as widgets

        self.widget: Any = widgets.Output()
        self._display: Any = None
        self.sent_whole = False

    def show(self) -> None:
        """Make the output; above that of the widget which needs it."""
        from IPython.display import DisplayHandle

        self._display = DisplayHandle()  # type: ignore[no-untyped-call]
        self.sent_whole = not BokehJS._on_the_page and server_has_bokehjs() is False
        self._display.display(_bundle(whole=self.sent_whole), raw=True)

    def send_whole(self) -> None:
        """Send BokehJS itself: the page could not get it."""
        BokehJS._on_the_page = False
        self.sent_whole = True
        self.widget.outputs = (
            {"output_type": "display_data", "data": _bundle(whole=True), "metadata": {}},
        )

    def arrived(self) -> None:
        """The page draws: the notebook need not keep more than the few lines."""
        BokehJS._on_the_page = True
        if self.sent_whole:
            self.widget.outputs = ()
            self._display.update(_bundle(whole=False), raw=True)


def version() -> str:
    """Version of the installed Bokeh: the page needs the same."""
    import bokeh

    found: str = bokeh.__version__
    return found


@cache
def _whole() -> str:
    from bokeh.util.paths import bokehjs_path

    text = (Path(bokehjs_path()) / "js" / "bokeh.min.js").read_text(encoding="utf-8")
    return _SCRIPT % (json.dumps(version()), f"run({json.dumps(text)});")


def _bundle(*, whole: bool) -> dict[str, str]:
    script = _whole() if whole else _SCRIPT % (json.dumps(version()), _FETCH)
    return {"application/javascript": script}


def server_has_bokehjs() -> bool | None:
    """Whether the server that started this kernel has our extension; None if it cannot be asked.

    Asked without credentials: a server that knows the address refuses, another says 404.
    """
    parent = os.environ.get("JPY_PARENT_PID", "")
    if not parent.isdigit():
        return None
    from jupyter_core.paths import jupyter_runtime_dir

    try:
        text = (Path(jupyter_runtime_dir()) / f"jpserver-{parent}.json").read_text("utf-8")
        address = f"{json.loads(text)['url']}gpures_lab/bokeh"
        if not address.startswith(("http://", "https://")):
            return None
        with urllib.request.urlopen(address, timeout=PROBE_S):  # noqa: S310 - checked above
            return True
    except urllib.error.HTTPError as answer:
        return answer.code != NOT_FOUND
    except (OSError, ValueError, KeyError, TypeError):
        return None
