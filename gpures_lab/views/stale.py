"""What runs in the page: figures that stand still say since when, and nothing goes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gpures_lab.views.palette import Palette

__all__ = ["say_when_stale"]

# Runs in the page at every tick. What it keeps is under the source, so it goes with the figures.
#
# Each tick moves the ranges of every figure, and each of these changes would be sent to the kernel,
# which has no use for it: in a long cell thousands would wait. So what the page changes itself goes
# nowhere. Where Bokeh has renamed that list, labels are still set silently: to send to a kernel
# that was restarted throws.
_CODE: Final = """
const watches = window.gpures_lab_watches ??= new WeakMap();
const now = Date.now();
const show = attributes => labels.forEach(label => {
  label.setv(attributes, { silent: true });
  Object.keys(attributes).forEach(name => label.properties[name].change.emit());
  label.change.emit();
});
let watch = watches.get(source);
if (watch === undefined) {
  source.document._callbacks?.clear?.();
  watch = { last: now, period: 1000, stale: false };
  watches.set(source, watch);
  const timer = setInterval(() => {
    if (source.document === null) { clearInterval(timer); return; }
    if (watch.stale || Date.now() - watch.last < Math.max(3000, 4 * watch.period)) { return; }
    watch.stale = true;
    const since = new Date(watch.last).toLocaleTimeString([], { hour12: false });
    show({ text: `stale since ${since}`, visible: true });
  }, 500);
}
watch.period = now - watch.last;
watch.last = now;
if (watch.stale) {
  watch.stale = false;
  show({ visible: false });
}
"""


def say_when_stale(source: Any, charts: Sequence[Any], palette: Palette) -> None:
    """Have the page write on each chart since when ``source`` has got no more ticks."""
    from bokeh.models import CustomJS
    from bokeh.models.annotations import Label

    labels = [
        Label(
            x=6,
            y=6,
            x_units="screen",
            y_units="screen",
            text="",
            text_color=palette.second,
            text_font_style="bold",
            visible=False,
        )
        for _ in charts
    ]
    for chart, label in zip(charts, labels, strict=True):
        chart.add_layout(label)
    source.js_on_change(
        "streaming", CustomJS(code=_CODE, args={"source": source, "labels": labels})
    )
