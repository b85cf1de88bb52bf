"""Figures that stand still say since when, in the page itself: the kernel may be gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["say_when_stale"]

# Runs in the page at every tick. What it keeps is under the source, so it goes with the figures.
_CODE: Final = """
const watches = window.gpures_lab_watches ??= new WeakMap();
const now = Date.now();
let watch = watches.get(source);
if (watch === undefined) {
  const names = titles.map(title => title.text);
  watch = { last: now, period: 1000, names, stale: false };
  watches.set(source, watch);
  const timer = setInterval(() => {
    if (source.document === null) { clearInterval(timer); return; }
    if (watch.stale || Date.now() - watch.last < Math.max(3000, 4 * watch.period)) { return; }
    watch.stale = true;
    const since = new Date(watch.last).toLocaleTimeString([], { hour12: false });
    titles.forEach((title, n) => { title.text = `${watch.names[n]} · stale since ${since}`; });
  }, 500);
}
watch.period = now - watch.last;
watch.last = now;
if (watch.stale) {
  watch.stale = false;
  titles.forEach((title, n) => { title.text = watch.names[n]; });
}
"""


def say_when_stale(source: Any, titles: Sequence[Any]) -> None:
    """Have the page change ``titles`` when ``source`` gets no more ticks, and back when it does."""
    from bokeh.models import CustomJS

    source.js_on_change(
        "streaming", CustomJS(code=_CODE, args={"source": source, "titles": list(titles)})
    )
