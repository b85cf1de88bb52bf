"""A Jupyter server of the tests' own: a free port, its own folders, its own kernels."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["START_LIMIT_S", "Server", "running_server"]

START_LIMIT_S = 120
ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"


class Server:
    """Where it listens and what it serves."""

    def __init__(self, port: int, token: str, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{port}/"
        self.token = token
        self.folder = folder

    def write_notebook(self, name: str, cells: list[str]) -> None:
        """Put a notebook of unexecuted code cells into the folder that is served."""
        found = {
            "cells": [
                {
                    "cell_type": "code",
                    "execution_count": None,
                    "id": f"cell-{number}",
                    "metadata": {},
                    "outputs": [],
                    "source": source,
                }
                for number, source in enumerate(cells)
            ],
            "metadata": {
                "kernelspec": {
                    "display_name": "Python 3",
                    "language": "python",
                    "name": "python3",
                }
            },
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        (self.folder / name).write_text(json.dumps(found), encoding="utf-8")

    def answers(self) -> bool:
        """Whether it is up."""
        address = f"{self.url}api/status?token={self.token}"
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:  # noqa: S310 - our own http
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False


@contextmanager
def running_server(
    folder: Path, *, python: str = sys.executable, environment: dict[str, str] | None = None
) -> Iterator[Server]:
    """Run a JupyterLab until the block ends.

    Parameters
    ----------
    folder
        Holds what is served and everything that it writes.
    python
        Whose JupyterLab.
    """
    served, config, log = folder / "notebooks", folder / "config", folder / "server.log"
    served.mkdir(parents=True)
    (config / "labconfig").mkdir(parents=True)
    # A question about news would cover the notebook.
    (config / "labconfig" / "page_config.json").write_text(
        json.dumps({"disabledExtensions": {ANNOUNCEMENTS: True}}), encoding="utf-8"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(port, secrets.token_hex(16), served)
    command = [
        *(python, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *(f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={served}"),
        f"--IdentityProvider.token={server.token}",
        "--LabApp.expose_app_in_browser=True",
    ]
    variables = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(config),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "IPYTHONDIR": str(folder / "ipython"),
        **(environment or {}),
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=variables, cwd=served, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        limit = time.monotonic() + START_LIMIT_S
        while not server.answers():
            if process.poll() is not None or time.monotonic() > limit:
                raise AssertionError(f"no JupyterLab:\n{log.read_text(encoding='utf-8')[-3000:]}")
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()  # it ends its kernels
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
