"""Builds the native library, as the host runs it and as a block does, and hands both to tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import native


@pytest.fixture(scope="session", params=["host", "block"])
def library(request: pytest.FixtureRequest) -> native.Library:
    """The same rows twice: one thread's code, and the device's code on a block of host threads."""
    cxx = native.compiler()
    if cxx is None:
        pytest.skip("no C++ compiler: install g++, or set CXX")
    folder = Path(request.config.cache.mkdir("library-build"))
    block = request.param == "block"
    return native.Library(native.build(cxx, folder, block=block), block=block)
