"""Builds the native library once and hands it to every test here."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import native


@pytest.fixture(scope="session")
def library(request: pytest.FixtureRequest) -> native.Library:
    cxx = native.compiler()
    if cxx is None:
        pytest.skip("no C++ compiler: install g++, or set CXX")
    folder = Path(request.config.cache.mkdir("library-build"))
    return native.Library(native.build(cxx, folder))
