"""The colours of both themes: text and lines against JupyterLab's own backgrounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gpures_lab.errors import InvalidOption

__all__ = ["PALETTES", "Palette", "palette_of"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Palette:
    """Colours of one theme; the background is the page's own, so figures are transparent."""

    background: str
    text: str
    grid: str
    first: str
    second: str
    third: str
    pale: str


# The first three tell apart for readers with colour-blindness too (Okabe and Ito); backgrounds
# are those of JupyterLab's two themes, used only where no page gives its own.
PALETTES: Final = {
    # Text that has a contrast above 4 on both backgrounds, and a grid that both let through.
    "auto": Palette(
        background="transparent",
        text="#767676",
        grid="#80808055",
        first="#2b8cc4",
        second="#d9731a",
        third="#12a37c",
        pale="#80808040",
    ),
    "light": Palette(
        background="#ffffff",
        text="#212121",
        grid="#e0e0e0",
        first="#0072b2",
        second="#d55e00",
        third="#009e73",
        pale="#cfd8dc",
    ),
    "dark": Palette(
        background="#111111",
        text="#e0e0e0",
        grid="#424242",
        first="#56b4e9",
        second="#e69f00",
        third="#2dc79b",
        pale="#37474f",
    ),
}


def palette_of(theme: str) -> Palette:
    """Return the colours of ``"auto"``, ``"light"`` or ``"dark"``.

    Raises
    ------
    InvalidOption
        Any other word.
    """
    if theme not in PALETTES:
        raise InvalidOption(
            f"theme={theme!r} is unknown; use 'auto', 'light' or 'dark'", theme=theme
        )
    return PALETTES[theme]
