"""What a person sees of a notebook: pixels, colours of the theme, what is saved."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from playwright.sync_api import FloatRect, Locator, Page

    from tests.browser.lab import NotebookPage

__all__ = ["STALE", "colour", "outputs", "pixels", "pixels_of", "reload", "scroll_to"]

STALE = """() => (window.Bokeh?.documents ?? [])
  .flatMap(each => [...each._all_models.values()])
  .filter(each => each.type === 'Label' && each.visible).map(each => each.text)"""


def scroll_to(notebook: NotebookPage, place: Locator) -> None:
    """Bring the top of something to the top of the window."""
    del notebook
    place.evaluate("element => element.scrollIntoView({block: 'start'})")


def pixels(notebook: NotebookPage, place: Locator) -> NDArray[np.uint8]:
    """Return what is drawn there, rows of RGB; it must be within the window."""
    box = place.bounding_box()
    assert box is not None
    return pixels_of(notebook.page, box)


def pixels_of(page: Page, box: FloatRect) -> NDArray[np.uint8]:
    """Return what is drawn in a part of the window."""
    # Not an element's own screenshot: that waits for two frames in which nothing moved.
    image = Image.open(io.BytesIO(page.screenshot(clip=box)))
    return np.asarray(image.convert("RGB"))


def outputs(notebook: NotebookPage, cell: int) -> list[dict[str, Any]]:
    """Outputs of a cell, as the notebook will save them."""
    found: list[dict[str, Any]] = notebook.page.evaluate(
        "n => window.jupyterapp.shell.currentWidget.content.widgets[n].model.outputs.toJSON()", cell
    )
    return found


def reload(notebook: NotebookPage) -> None:
    """Save, and load the page again; the kernel goes on."""
    notebook.command("docmanager:save")
    notebook.poll("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    notebook.page.reload()
    notebook.wait_until_idle()


def colour(notebook: NotebookPage, variable: str) -> NDArray[np.float64]:
    """Return a colour of the theme as RGB."""
    text = notebook.page.evaluate(
        """name => {
          const probe = document.createElement('div');
          probe.style.color = `var(${name})`;
          document.body.append(probe);
          const found = getComputedStyle(probe).color;
          probe.remove();
          return found;
        }""",
        variable,
    )
    numbers = text[text.index("(") + 1 : text.index(")")].split(",")[:3]
    return np.array([float(each) for each in numbers])
