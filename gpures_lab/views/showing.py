"""The dashboard's place in a page: its box, and that the page can draw what is in it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from gpures_lab.views.bokehjs import BokehJS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Showing"]

PATIENCE_S: Final = 2.0
RUN_S: Final = 0.5  # for the page to run the script that it was sent
MOST_TRIES: Final = 3
NOTE: Final = (
    '<small style="color:var(--jp-ui-font-color2)">BokehJS came from the kernel, because this '
    "server does not have it: install gpures_lab where JupyterLab runs, and restart it.</small>"
)


class Showing:
    """Shows widgets around the figures, and notices when a page could not draw the figures.

    A page counts the views that it made of a widget. One that shows the box and not the figures
    had no BokehJS when it tried: it is sent, and the figures are put in anew.
    """

    def __init__(
        self,
        make_figures: Callable[[], Any],
        *,
        above: Sequence[Any],
        below: Sequence[Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        import ipywidgets as widgets

        self._make_figures = make_figures
        self._clock = clock
        self._bokehjs = BokehJS()
        self._note: Any = widgets.HTML()
        self._above, self._below = [*above, self._bokehjs.widget], [*below, self._note]
        self.figures = make_figures()
        self.box: Any = widgets.VBox(
            [*self._above, self.figures, *self._below],
            layout=widgets.Layout(overflow="hidden"),
            _view_count=0,
        )
        self._shown = False
        self._drawn = 0
        self._without = 0  # views of the box that stay without figures: pages that are gone
        self._missing_since: float | None = None
        self._sent_at: float | None = None
        self._tries = 0

    def show(self, text: str) -> None:
        """Show the box in the cell that runs; ``text`` where widgets cannot be shown."""
        from IPython.display import display

        self._bokehjs.show()
        bundle = self.box._repr_mimebundle_()
        display({**bundle, "text/plain": text}, raw=True)  # type: ignore[no-untyped-call]
        self._shown = True

    def look(self) -> None:
        """Compare what the pages have drawn with what they should have."""
        if not self._shown:
            return
        drawn, boxes = _views(self.figures), _views(self.box)
        if drawn > self._drawn:
            self._bokehjs.arrived()
            self._note.value = NOTE if self._bokehjs.sent_whole else ""
            self._tries = 0
        self._drawn = drawn
        now = self._clock()
        if self._sent_at is not None:
            if now - self._sent_at >= RUN_S:
                self._put_in_anew(boxes)
            return
        missing = boxes - self._without > drawn
        if not missing or self._tries >= MOST_TRIES:
            self._missing_since = None
        elif self._missing_since is None:
            self._missing_since = now
        elif now - self._missing_since >= PATIENCE_S:
            self._tries += 1
            self._missing_since = None
            self._sent_at = now
            self._bokehjs.send_whole()

    def close(self) -> None:
        """Close the comms of box and figures; what is on the page stays."""
        self.figures.close()
        self._bokehjs.widget.close()
        self._note.close()
        self.box.close()

    def _put_in_anew(self, boxes: int) -> None:
        self._sent_at = None
        old, self.figures = self.figures, self._make_figures()
        # A view for each page that is there now; the box's count has those that are gone as well.
        self._drawn, self._without = 0, boxes - 1
        self.box.children = [*self._above, self.figures, *self._below]
        old.close()


def _views(widget: Any) -> int:
    count: int | None = widget._view_count  # noqa: SLF001 - how ipywidgets names the synced trait
    return count or 0
