"""The row of widgets above the figures; knows no engine, only what to call."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any, Final

from gpures_lab.views.ticker import RATES_HZ

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["ALL_GRAINS", "Controls"]

ALL_GRAINS: Final = ""  # no grain has an empty key
WINDOWS_S: Final = (1.0, 5.0, 30.0, 300.0)
WAITS: Final = "handled when the running cell ends"


class Controls:
    """Widgets and what they call.

    Parameters
    ----------
    window_s, rate_hz
        What is shown first.
    choose_grain, choose_window, choose_rate, pause, park, release
        Called with the new value, or with nothing; what they raise is shown beside the buttons.
    """

    def __init__(
        self,
        *,
        window_s: float,
        rate_hz: float,
        choose_grain: Callable[[str], None],
        choose_window: Callable[[float], None],
        choose_rate: Callable[[float], None],
        pause: Callable[[bool], None],
        park: Callable[[], None],
        release: Callable[[], None],
    ) -> None:
        import ipywidgets as widgets

        auto = widgets.Layout(width="auto")
        self.grain: Any = widgets.Dropdown(
            options=[("all grains", ALL_GRAINS)], description="Grain", layout=auto
        )
        self.window: Any = widgets.Dropdown(
            options=[(f"{each:g} s", each) for each in sorted({*WINDOWS_S, window_s})],
            value=window_s,
            description="Window",
            layout=auto,
        )
        self.rate: Any = widgets.FloatSlider(
            value=rate_hz,
            min=RATES_HZ[0],
            max=RATES_HZ[1],
            step=0.1,
            description="Updates/s",
            readout_format=".1f",
        )
        self.pause: Any = widgets.ToggleButton(description="Pause", tooltip=WAITS, layout=auto)
        self.park: Any = widgets.Button(
            description="Park",
            tooltip=f"The ring kernel leaves the device; memory stays ({WAITS})",
            layout=auto,
        )
        self.release: Any = widgets.Button(
            description="Release",
            tooltip=f"Release every allocation of the grain chosen ({WAITS})",
            disabled=True,
            layout=auto,
        )
        self.status: Any = widgets.HTML()
        self.box: Any = widgets.HBox(
            [
                self.grain,
                self.window,
                self.rate,
                self.pause,
                self.park,
                self.release,
                self.status,
            ],
            layout=widgets.Layout(flex_flow="row wrap"),
        )

        def choose(key: str) -> None:
            choose_grain(key)
            self.release.disabled = key == ALL_GRAINS

        for widget, call in (
            (self.grain, choose),
            (self.window, choose_window),
            (self.rate, choose_rate),
            (self.pause, pause),
        ):
            widget.observe(self._guarded_change(call), names="value")
        self.park.on_click(self._guarded_click(park))
        self.release.on_click(self._guarded_click(release))

    def say(self, text: str) -> None:
        """Show ``text`` as text beside the buttons, whatever it contains."""
        shown = html.escape(text)
        if self.status.value != shown:
            self.status.value = shown

    def offer(self, keys: Sequence[str], count: int) -> None:
        """Let the user choose among these of ``count`` grains; the one chosen stays.

        In the order of their names: a list that changes with every message would be sent each time.
        """
        chosen = self.grain.value
        everything = "all grains"
        if count > len(keys):
            everything = f"all {count:,} grains (the {len(keys)} busiest are listed)"
        listed = sorted({*keys, chosen} - {ALL_GRAINS})
        options = ((everything, ALL_GRAINS), *((key, key) for key in listed))
        if self.grain.options == options:
            return
        self.grain.options = options
        self.grain.value = chosen

    def disable(self) -> None:
        """Leave everything to be read and nothing to be pressed."""
        for widget in self.box.children[:-1]:
            widget.disabled = True

    def close(self) -> None:
        """Close the comm of every widget of the row."""
        for widget in self.box.children:
            widget.close()
        self.box.close()

    def _guarded_change(self, call: Callable[[Any], None]) -> Callable[[Any], None]:
        return lambda change: self._guard(lambda: call(change["new"]))

    def _guarded_click(self, call: Callable[[], None]) -> Callable[[Any], None]:
        return lambda _: self._guard(call)

    def _guard(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - a handler has no cell to raise into
            self.say(f"{type(error).__name__}: {error}")
