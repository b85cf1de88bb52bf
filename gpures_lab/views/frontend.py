"""What the page that shows this kernel's output can do, as far as a kernel can know."""

from __future__ import annotations

__all__ = ["can_show_widgets", "load_bokehjs"]


def can_show_widgets() -> bool:
    """Whether this is a kernel with comms; a terminal or a script is none."""
    try:
        from IPython.core.getipython import get_ipython
    except ModuleNotFoundError:
        return False
    shell = get_ipython()
    return getattr(shell, "kernel", None) is not None


def load_bokehjs() -> None:
    """Send BokehJS with the cell: from the installed wheel, so it works without a network.

    Each time, because a page that was loaded again has lost it. It stays in the cell's output
    (some megabytes); clear the cell before the notebook is shared.
    """
    from bokeh.io.notebook import load_notebook
    from bokeh.resources import INLINE

    load_notebook(INLINE, hide_banner=True)
