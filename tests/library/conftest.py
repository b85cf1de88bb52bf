"""Builds the native library, as the host runs it and as a block does, and hands both to tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import native


@pytest.fixture(scope="session", params=["host", "block", "passes"])
def library(request: pytest.FixtureRequest) -> native.Library:
    """The same rows: one thread's code, the device's on a block of host threads, or on several."""
    cxx = native.compiler()
    if cxx is None:
        pytest.skip("no C++ compiler: install g++, or set CXX")
    folder = Path(request.config.cache.mkdir("library-build"))
    block = request.param != "host"
    path = native.build(cxx, folder, block=block)
    return native.Library(path, block=block, passes=request.param == "passes")
