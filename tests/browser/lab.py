"""A Jupyter server to test against, and a JupyterLab page with a notebook in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

__all__ = ["LIMIT_S", "Lab", "NotebookPage", "Server", "labextension_missing"]

ROOT: Final = Path(__file__).parents[2]
LABEXTENSION: Final = ROOT / "extension" / "labextension"
LIMIT_S: Final = 60
TOKEN: Final = "0123456789abcdef0123456789abcdef"  # noqa: S105 - of a server on loopback, for a test
BASE_URL: Final = "/user/tester/"

# Noise of JupyterLab itself: favicons, source maps, and pages that ask for optional services.
NOT_OURS: Final = ("favicon", ".map", "/lsp/status", "/api/translations", "debugger state")


def labextension_missing() -> str | None:
    """Why the extension cannot be tested here; None if it can."""
    if (LABEXTENSION / "package.json").is_file():
        return None
    return "the extension is not built: install nodejs and npm, then make typescript"


class Server:
    """A Jupyter server process with folders of its own; ``with`` starts and ends it.

    Parameters
    ----------
    extension
        Whether it has our server extension and the built labextension.
    limit_rate
        Whether it drops what a kernel says beyond 1,000 messages or 1 MB a second, as by default.
    """

    def __init__(self, folder: Path, *, extension: bool = True, limit_rate: bool = True) -> None:
        self.folder = folder
        self.limit_rate = limit_rate
        self.extension = extension
        self.notebooks = folder / "notebooks"
        self.log = folder / "server.log"
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        data, config, runtime = (self.folder / name for name in ("data", "config", "runtime"))
        for each in (self.notebooks, data / "labextensions", config, runtime):
            each.mkdir(parents=True)
        # What the working tree has, whatever the installation was made from.
        if self.extension and LABEXTENSION.is_dir():
            (data / "labextensions" / "gpures-lab").symlink_to(LABEXTENSION)
        quiet = config / "settings" / "@jupyterlab" / "apputils-extension"
        quiet.mkdir(parents=True)
        (quiet / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
        settings = {
            "ServerApp": {"jpserver_extensions": {"gpures_lab.labserver": self.extension}},
            "ZMQChannelsWebsocketConnection": {"limit_rate": self.limit_rate},
        }
        (config / "jupyter_server_config.json").write_text(json.dumps(settings))
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                    *("--expose-app-in-browser", "--ServerApp.ip=127.0.0.1"),
                    *("--ServerApp.port=0", "--ServerApp.port_retries=0"),
                    *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.base_url={BASE_URL}"),
                    f"--ServerApp.root_dir={self.notebooks}",
                    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "JUPYTER_PATH": str(data),
                    "JUPYTER_CONFIG_DIR": str(config),
                    "JUPYTER_RUNTIME_DIR": str(runtime),
                    "JUPYTERLAB_SETTINGS_DIR": str(config / "settings"),
                    "JUPYTERLAB_WORKSPACES_DIR": str(config / "workspaces"),
                    "IPYTHONDIR": str(self.folder / "ipython"),
                    "PYTHONPATH": str(ROOT),
                },
            )
        self.url = self._wait_for(runtime)
        return self

    def _wait_for(self, runtime: Path) -> str:
        deadline = time.monotonic() + LIMIT_S
        gate = threading.Event()
        assert self._process is not None
        while time.monotonic() < deadline and self._process.poll() is None:
            for found in runtime.glob("jpserver-*.json"):
                try:
                    return str(json.loads(found.read_text())["url"])
                except (ValueError, KeyError):
                    pass  # half written
            gate.wait(0.1)
        self.__exit__(None, None, None)
        raise AssertionError(f"no server within {LIMIT_S} s:\n{self.log.read_text()[-4000:]}")

    def address(self, path: str) -> str:
        """Return the address of ``path``, with the token."""
        return f"{self.url}{path}?token={TOKEN}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(20)


class Lab:
    """One browser context. Its errors are kept, for a test to ask for."""

    def __init__(self, server: Server, browser: Browser) -> None:
        self.server = server
        self._browser = browser
        self.errors: list[str] = []
        self._opened = 0

    def __enter__(self) -> Self:
        self._context = self._browser.new_context(viewport={"width": 1500, "height": 950})
        self._context.set_default_timeout(LIMIT_S * 1000)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._context.close()

    def page(self) -> Page:
        """Return a page whose errors are kept."""
        page = self._context.new_page()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._heard)
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        where = f"{message.text} ({message.location.get('url', '')})"
        if message.type == "error" and not any(noise in where for noise in NOT_OURS):
            self.errors.append(where)

    def notebook(
        self, *cells: str, name: str | None = None, kernel: str = "python3"
    ) -> NotebookPage:
        """Open a new notebook with these cells; its kernel is idle."""
        self._opened += 1
        name = name or f"notebook-{id(self):x}-{self._opened}.ipynb"
        path = self.server.notebooks / name
        path.write_text(json.dumps(_notebook(cells, kernel)))
        page = self.page()
        # reset: no tabs of the test before
        page.goto(self.server.address(f"lab/workspaces/w{id(self):x}/tree/{name}") + "&reset")
        opened = NotebookPage(page, name)
        opened.wait_until_idle()
        opened.theme("JupyterLab Light")  # the server remembers that of the test before
        return opened

    def again(self, opened: NotebookPage) -> NotebookPage:
        """Open the same notebook in a second page, on the same kernel."""
        page = self.page()
        page.goto(self.server.address(f"lab/workspaces/w{id(page):x}/tree/{opened.name}"))
        second = NotebookPage(page, opened.name)
        second.wait_until_idle()
        return second

    def notebook_in(self, opened: NotebookPage, *cells: str) -> NotebookPage:
        """Open a new notebook, with a kernel of its own, in a page that is open."""
        self._opened += 1
        name = f"notebook-{id(self):x}-{self._opened}.ipynb"
        path = self.server.notebooks / name
        path.write_text(json.dumps(_notebook(cells, "python3")))
        opened.command("docmanager:open", path=name)
        other = NotebookPage(opened.page, name)
        other.poll("name => window.jupyterapp.shell.currentWidget?.context?.path === name", name)
        other.wait_until_idle()
        return other


class NotebookPage:
    """JupyterLab with one notebook in front."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.name = name

    def command(self, name: str, **arguments: Any) -> None:
        """Execute one of JupyterLab's commands and wait for it."""
        self.page.evaluate(
            "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)",
            [name, arguments],
        )

    def start(self, cell: int) -> None:
        """Run a cell and return at once."""
        self.page.evaluate(
            """index => {
              const notebook = window.jupyterapp.shell.currentWidget.content;
              notebook.activeCellIndex = index;
              notebook.deselectAll();
              void window.jupyterapp.commands.execute('notebook:run-cell');
            }""",
            cell,
        )

    def run(self, cell: int) -> None:
        """Run a cell to its end."""
        before = self._count(cell)
        self.start(cell)
        self.page.wait_for_function(
            """([index, before]) => {
              const cell = window.jupyterapp.shell.currentWidget.content.widgets[index].model;
              return cell.executionCount !== null && cell.executionCount !== before
                  && cell.executionState !== 'running';
            }""",
            arg=[cell, before],
        )

    def _count(self, cell: int) -> int | None:
        found: int | None = self.page.evaluate(
            "index => window.jupyterapp.shell.currentWidget.content.widgets[index]"
            ".model.executionCount",
            cell,
        )
        return found

    def source_of(self, cell: int) -> str:
        """Return what stands in a cell."""
        found: str = self.page.evaluate(
            "index => window.jupyterapp.shell.currentWidget.content.widgets[index]"
            ".model.sharedModel.getSource()",
            cell,
        )
        return found

    def text_of(self, cell: int) -> str:
        """Return what the outputs of a cell say."""
        outputs = self.page.locator(".jp-Notebook .jp-Cell").nth(cell).locator(".jp-OutputArea")
        return outputs.first.inner_text()

    def wait_until_idle(self) -> None:
        """Wait until the notebook's kernel answers."""
        self.page.wait_for_function(
            """() => {
              const panel = window.jupyterapp?.shell.currentWidget;
              return panel?.sessionContext?.session?.kernel?.status === 'idle';
            }"""
        )

    def wait_until_busy(self) -> None:
        """Wait until a cell runs."""
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status"
            " === 'busy'"
        )

    def theme(self, name: str) -> None:
        """Choose ``JupyterLab Light`` or ``JupyterLab Dark`` and wait for its style."""
        self.command("apputils:change-theme", theme=name)
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)
        # JupyterLab covers the page meanwhile: a screenshot would show its logo.
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    def poll(self, expression: str, argument: Any = None) -> None:
        """Wait for a JavaScript expression to be true, within the limit."""
        self.page.wait_for_function(expression, arg=argument)


def _notebook(cells: Sequence[str], kernel: str) -> dict[str, object]:
    return {
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "execution_count": None,
                "metadata": {},
                "outputs": [],
                "source": source,
            }
            for number, source in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


Opener = Callable[..., NotebookPage]
