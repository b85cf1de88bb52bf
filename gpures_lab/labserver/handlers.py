"""Two addresses below ``base_url``: which BokehJS this server has, and the script itself."""

from __future__ import annotations

from typing import Any, Final

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from gpures_lab.labserver.bokehjs import bokeh_version, bokehjs_text, bokehjs_zipped

__all__ = ["handlers"]

AUTH_RESOURCE: Final = "contents"
"""Whoever may read notebooks may read the script that draws in them."""

A_YEAR: Final = "private, max-age=31536000, immutable"


class _Versions(APIHandler):
    auth_resource = AUTH_RESOURCE

    @web.authenticated
    @authorized
    def get(self) -> None:
        self.set_header("Cache-Control", "no-store")
        self.finish({"bokeh": bokeh_version()})


class _Script(APIHandler):
    auth_resource = AUTH_RESOURCE

    @web.authenticated
    @authorized
    def get(self, wanted: str) -> None:
        installed = bokeh_version()
        if wanted != installed:
            # Never another version under this name: a browser would keep it for a year.
            raise web.HTTPError(
                404, f"this server has Bokeh {installed or 'not installed'}, not {wanted}"
            )
        self.set_header("Cache-Control", A_YEAR)
        self.set_header("Vary", "Accept-Encoding")
        self.set_header("X-Content-Type-Options", "nosniff")
        body = bokehjs_text()
        if "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            body = bokehjs_zipped()
        self.finish(body, set_content_type="text/javascript; charset=utf-8")


def handlers(base_url: str) -> list[tuple[str, Any]]:
    """Return the routes of a server whose addresses begin with ``base_url``."""
    root = url_path_join(base_url, "gpures_lab", "bokeh")
    return [
        (root, _Versions),
        (url_path_join(root, r"([0-9A-Za-z.+-]+)", r"bokeh\.min\.js"), _Script),
    ]
