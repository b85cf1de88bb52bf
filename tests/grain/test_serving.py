"""Metrics over HTTP: loopback only, as long as the manager lives, and no longer."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request

import pytest

import gpures_lab as gl
from tests.grain.engines import LIMIT_S

pytest.importorskip("prometheus_client")


def scraped(server: gl.MetricsServer) -> list[str]:
    with urllib.request.urlopen(server.url, timeout=LIMIT_S) as answer:  # noqa: S310 - our own http
        text: str = answer.read().decode()
        return text.splitlines()


def test_a_scrape_has_the_figures_of_now(lab: gl.GrainManager) -> None:
    """Would catch: figures of the moment when the server was started."""
    grain = lab.grain("scores")
    with gl.serve_metrics(0, lab, grains=["scores"]) as server:
        grain.ping().result()
        assert 'gpures_messages_processed_total{grain="scores"} 1.0' in scraped(server)
        grain.ping().result()
        assert 'gpures_messages_processed_total{grain="scores"} 2.0' in scraped(server)
        assert 'gpures_messages_processed_total{grain=""} 2.0' in scraped(server)


def test_it_listens_on_loopback_alone(lab: gl.GrainManager) -> None:
    """Would catch: prometheus-client's own default, every address of the machine."""
    with gl.serve_metrics(0, lab) as server:
        assert server._server.server_address[0] == "127.0.0.1"
        assert server.url == f"http://127.0.0.1:{server.port}/metrics"


def test_it_ends_with_the_manager(lab: gl.GrainManager) -> None:
    """Would catch: the last figures for ever, and a thread and a port that nobody gives back."""
    threads = set(threading.enumerate())
    server = gl.serve_metrics(0, lab)
    lab.close()
    assert server.closed
    assert repr(server) == "<MetricsServer closed>"
    assert set(threading.enumerate()) <= threads
    with pytest.raises(urllib.error.URLError):
        scraped(server)
    with pytest.raises(gl.RingClosed):
        gl.serve_metrics(0, lab)


@pytest.mark.parametrize("port", [-1, 65536, 1.5, True])
def test_a_port_out_of_range_is_refused(lab: gl.GrainManager, port: int) -> None:
    with pytest.raises(gl.InvalidOption, match="give 1 to 65535, or 0 for any free one"):
        gl.serve_metrics(port, lab)


def test_a_port_that_is_taken_is_said(lab: gl.GrainManager) -> None:
    """Would catch: OSError 98 without the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(gl.InvalidOption, match=f"port {port} cannot be served: it is taken"):
            gl.serve_metrics(port, lab)


def test_an_unknown_grain_is_not_made(lab: gl.GrainManager) -> None:
    with pytest.raises(gl.InvalidOption, match="there is no grain 'nosuch'"):
        gl.serve_metrics(0, lab, grains=["nosuch"])
    assert "nosuch" not in lab.grains
