"""Metrics over HTTP for a Prometheus server, on this machine's loopback address."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any, Final, Self

from gpures_lab.errors import InvalidOption

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["MetricsServer"]

LOOPBACK: Final = "127.0.0.1"


class MetricsServer:
    """A thread that answers scrapes; made by `serve_metrics`. Close it, or use it with ``with``.

    Raises
    ------
    InvalidOption
        The port is out of range, taken, or not allowed.
    """

    def __init__(self, port: int, registry: CollectorRegistry) -> None:
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
            raise InvalidOption(
                f"port={port!r} is out of range; give 1 to 65535, or 0 for any free one", port=port
            )
        from prometheus_client import start_http_server

        self._server: Any = None
        try:
            self._server, self._thread = start_http_server(port, addr=LOOPBACK, registry=registry)
        except OSError as reason:
            why = os.strerror(reason.errno) if reason.errno else str(reason)
            if reason.errno == errno.EADDRINUSE:
                why = "it is taken"
            raise InvalidOption(
                f"port {port} cannot be served: {why}; give another, or 0 for any free one",
                port=port,
            ) from reason

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return int(self._server.server_port)

    @property
    def url(self) -> str:
        """What to scrape."""
        return f"http://{LOOPBACK}:{self.port}/metrics"

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return not self._thread.is_alive()

    def close(self) -> None:
        """Give the port back. Harmless when repeated."""
        if self.closed:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<MetricsServer {'closed' if self.closed else self.url}>"
