"""What the page that shows this kernel's output can do, as far as a kernel can know."""

from __future__ import annotations

__all__ = ["can_show_widgets"]


def can_show_widgets() -> bool:
    """Whether this is a kernel with comms; a terminal or a script is none."""
    try:
        from IPython.core.getipython import get_ipython
    except ModuleNotFoundError:
        return False
    shell = get_ipython()
    return getattr(shell, "kernel", None) is not None
