"""Jupyter server part of the JupyterLab extension: serves the installed BokehJS.

Enabled by its installation (``jupyter_server_config.json`` beside this file goes to
``etc/jupyter/jupyter_server_config.d``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

__all__ = ["_jupyter_server_extension_points", "_load_jupyter_server_extension"]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": "gpures_lab.labserver"}]


def _load_jupyter_server_extension(server: ServerApp) -> None:
    from gpures_lab.labserver.handlers import handlers

    app: Any = server.web_app
    app.add_handlers(".*$", handlers(app.settings["base_url"]))
