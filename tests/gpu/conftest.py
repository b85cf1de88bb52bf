"""Managers on the GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import gpures_lab as gl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session", autouse=True)
def folders_of_our_own(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """As for all tests; but gpu-check's processes share the kernels that one of them compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPURES_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        if not request.config.getoption("--journal", ""):
            patch.setenv("GPURES_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def make_gpu() -> Iterator[Callable[..., gl.GrainManager]]:
    """Return a maker of managers on cuda:0; they are closed at the end."""
    made: list[gl.GrainManager] = []

    def make(**options: Any) -> gl.GrainManager:
        made.append(gl.GrainManager(device="cuda:0", pool_limit_bytes=1 << 30, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def gpu(make_gpu: Callable[..., gl.GrainManager]) -> gl.GrainManager:
    """Return a manager on cuda:0 with the default rings."""
    return make_gpu()
