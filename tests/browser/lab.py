"""A notebook in JupyterLab, driven as a person does: cells are run, pixels are looked at."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from playwright.sync_api import Locator, Page

    from tests.browser.server import Server

__all__ = ["LIMIT_MS", "SCREENSHOTS", "LabNotebook"]

LIMIT_MS = 60_000
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"

_KERNEL = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"


class LabNotebook:
    """One open notebook.

    Attributes
    ----------
    page
        Playwright's.
    errors
        What the page's console called an error, and what it threw.
    """

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.name = ""
        self.errors: list[str] = []
        page.set_default_timeout(LIMIT_MS)
        page.on("pageerror", lambda error: self.errors.append(f"threw: {error}"))
        page.on("console", self._note)

    def _note(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url', '')})")

    def open(self, name: str, cells: list[str]) -> None:
        """Write a notebook and open it in a fresh workspace."""
        self.name = name
        self.server.write_notebook(name, cells)
        self.page.goto(
            f"{self.server.url}lab/workspaces/{name.removesuffix('.ipynb')}/tree/{name}"
            f"?token={self.server.token}"
        )
        self.until_idle()

    def reload(self) -> None:
        """Save, and load the page again; the kernel goes on."""
        self.command("docmanager:save")
        self.page.wait_for_function(
            "() => !window.jupyterapp.shell.currentWidget.context.model.dirty"
        )
        self.page.reload()
        self.until_idle()

    def command(self, name: str, **arguments: Any) -> None:
        """Run a command of JupyterLab."""
        self.page.evaluate(
            "([name, given]) => window.jupyterapp.commands.execute(name, given)", [name, arguments]
        )

    def until_idle(self) -> None:
        """Wait until the kernel has nothing to do."""
        self.page.wait_for_function(f"() => {_KERNEL}?.status === 'idle'")

    def start(self, number: int) -> None:
        """Start a cell and do not wait."""
        self.page.evaluate(
            """number => {
              const notebook = window.jupyterapp.shell.currentWidget.content;
              notebook.activeCellIndex = number;
              notebook.deselectAll();
              void window.jupyterapp.commands.execute('notebook:run-cell');
            }""",
            number,
        )

    def run(self, number: int) -> None:
        """Run a cell to its end."""
        before = self.count(number)
        self.start(number)
        self.page.wait_for_function(
            """([number, before]) => {
              const cell = window.jupyterapp.shell.currentWidget.content.widgets[number].model;
              return cell.executionCount !== null && cell.executionCount !== before;
            }""",
            arg=[number, before],
        )
        self.until_idle()

    def count(self, number: int) -> int | None:
        """Execution count of a cell."""
        found: int | None = self.page.evaluate(
            "n => window.jupyterapp.shell.currentWidget.content.widgets[n].model.executionCount",
            number,
        )
        return found

    def outputs(self, number: int) -> list[dict[str, Any]]:
        """Outputs of a cell, as the notebook will save them."""
        found: list[dict[str, Any]] = self.page.evaluate(
            "n => window.jupyterapp.shell.currentWidget.content.widgets[n].model.outputs.toJSON()",
            number,
        )
        return found

    def cell(self, number: int) -> Locator:
        """Return the element of a cell."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def pixels(self, place: Locator) -> NDArray[np.uint8]:
        """Return what is drawn there, rows of RGB; it must be within the window."""
        box = place.bounding_box()
        assert box is not None
        # Not the element's own screenshot: that waits for two frames in which nothing moved.
        image = Image.open(io.BytesIO(self.page.screenshot(clip=box)))
        return np.asarray(image.convert("RGB"))

    def save_screenshot(self, name: str, place: Locator | None = None) -> Path:
        """Keep a picture under build/, to be looked at."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        (place or self.page).screenshot(path=str(path))
        return path

    def set_theme(self, name: str) -> None:
        """Change to ``JupyterLab Light`` or ``JupyterLab Dark``."""
        self.command("apputils:change-theme", theme=name)
        light = str("Light" in name).lower()
        self.page.wait_for_selector(f"body[data-jp-theme-light='{light}']")

    def colour(self, variable: str) -> NDArray[np.float64]:
        """Return a colour of the theme as RGB."""
        text = self.page.evaluate(
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
