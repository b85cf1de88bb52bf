"""``gl.serve_metrics``: a manager's figures for Prometheus, as long as the manager lives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpures_lab.errors import InvalidOption
from gpures_lab.grain.directory import GrainManager
from gpures_lab.grain.own import manager
from gpures_lab.metrics.prometheus import registry
from gpures_lab.metrics.server import MetricsServer

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["serve_metrics"]


def serve_metrics(
    port: int = 0, lab: GrainManager | None = None, *, grains: Sequence[str] = ()
) -> MetricsServer:
    """Answer Prometheus' scrapes of a manager, on 127.0.0.1 only, until closed.

    It ends with the manager, so that a scrape never shows figures of one that is gone.

    Parameters
    ----------
    port
        0 takes any free one; the server's ``port`` and ``url`` say which.
    lab
        `gl.manager()` when left out.
    grains
        Keys of grains that get series of their own, labelled ``grain="key"``. Not all by
        themselves: each grain is some twenty series.

    Raises
    ------
    InvalidOption
        The port is out of range or taken, or there is no such grain.
    RingClosed
        The manager was closed.
    ModuleNotFoundError
        prometheus-client is missing; the message names the extra.
    """
    lab = manager() if lab is None else lab
    lab._check_open()
    known = lab.grains
    for key in grains:
        if key not in known:
            raise InvalidOption(f"there is no grain {key!r}: lab.grain({key!r}) makes it", key=key)
    server = MetricsServer(port, registry(lab, grains={key: known[key] for key in grains}))
    lab._close_with(server)
    return server
