"""What every test shares: machines without a GPU or a browser, and folders of the tests' own."""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from gpures_lab import environment
from gpures_lab.drivers import choose
from gpures_lab.errors import DriverUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")

# No deadline: a slow machine is no bug. The failing example is printed, to be replayed.
settings.register_profile("gpures", deadline=None, print_blob=True)
settings.load_profile("gpures")

# A shell's background job begins with Ctrl-C ignored, and so would every process of a test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def why_no_gpu() -> str | None:
    """Why GPU tests cannot run here; ``None`` if they can."""
    try:
        choose("cuda")
    except DriverUnavailable as error:
        return str(error)
    return None


def why_no_browser() -> str | None:
    """Why browser tests cannot run here; ``None`` if they can."""
    if any(shutil.which(name) for name in CHROMIUM):
        return None
    return f"no Chromium found (looked for {', '.join(CHROMIUM)}); install the package chromium"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--device cuda:0`` runs the shared tests of grains and rings on a GPU."""
    parser.addoption("--device", default="host", help="device of the managers in tests")


# What takes longest goes first, so that no process is left with it alone at the end.
LONG = (
    "tests/packaging",
    "tests/library",
    "tests/kernels/cuda/test_check.py",
    "tests/notebooks/test_rerun.py",
    "tests/soak",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""

    def rank(item: pytest.Item) -> int:
        return next((n for n, long in enumerate(LONG) if item.nodeid.startswith(long)), len(LONG))

    items.sort(key=rank)


def scope_of(nodeid: str) -> str:
    """Which tests stay in one of several processes: those of a file, with two exceptions.

    tests/library compiles the library for itself, once; a notebook's tests need only that notebook.
    """
    path, _, name = nodeid.partition("::")
    if path.startswith("tests/library/"):
        return "tests/library"
    return name if path == "tests/notebooks/test_rerun.py" else path


# Not --dist loadgroup: with pytest 9.2 the groups of pytest-xdist 3.8 have no effect.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand whole scopes to the processes."""
    from xdist.scheduler import LoadScopeScheduling

    class ByScope(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid)

    return ByScope(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run here, with the reason, or fail where it must run."""
    if item.get_closest_marker("gpu"):
        _skip_or_fail(why_no_gpu(), required=environment.require_gpu())
    if item.get_closest_marker("browser"):
        _skip_or_fail(why_no_browser(), required=environment.require_browser())


def _skip_or_fail(reason: str | None, *, required: bool) -> None:
    if reason is None:
        return
    if required:
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def folders_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's kernel cache and checkpoints out of the tests, and the tests out of them."""
    folders = {
        "GPURES_CACHE_DIR": str(tmp_path_factory.mktemp("cache")),
        "GPURES_STATE_DIR": str(tmp_path_factory.mktemp("state")),
    }
    before = {name: os.environ.get(name) for name in folders}
    os.environ.update(folders)
    yield
    for name, value in before.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value
